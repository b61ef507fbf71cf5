"""Which parameters training moves, and how fast: some may be frozen, others slowed down."""

import fnmatch
import math
from collections.abc import Iterable
from dataclasses import dataclass

import jax

from charrnn_core.arrays import Params, Tree
from charrnn_core.errors import OptionError, UnknownNameError
from charrnn_core.network.pytree import named

_IN_A_FILE = "params/"
"""How the names of parameters begin in a checkpoint or a file of safetensors."""


@dataclass(frozen=True)
class Moving:
    """What becomes of the changes that an optimizer wants to make.

        W' = W               where W is frozen, to the bit
        W' = W + f change    else, with the factor f of the last of `scales` that names W, or 1

    A parameter is named by its path, such as ``cell/U_f/kernel``, by the beginning of its path up
    to a ``/``, or by a glob for either: ``cell`` is all of the cell, ``*/bias`` every bias.

    No optimizer knows of this. A frozen parameter has a gradient of zero, which is not computed, so
    a norm that is clipped counts only what moves; whatever is done to it besides, such as weight
    decay, is dropped. A factor applies to what the optimizer has made of the whole gradient.

    Arguments:
        freeze: names of parameters that do not move.
        scales: names and factors.

    >>> moving = Moving(("embedding",), (("cell", 0.5),))
    >>> moving.scaled({"cell": {"W": 2.0}, "embedding": 2.0})
    {'cell': {'W': 1.0}, 'embedding': 2.0}
    >>> moving.kept({"cell": {"W": 1.0}, "embedding": 1.0}, {"cell": {"W": 3.0}, "embedding": 3.0})
    {'cell': {'W': 3.0}, 'embedding': 1.0}
    """

    freeze: tuple[str, ...] = ()
    scales: tuple[tuple[str, float], ...] = ()

    @classmethod
    def read(cls, freeze: Iterable[str], scales: Iterable[str]) -> "Moving":
        """Read the settings `freeze` and `lr_scale` of a run.

        Raises:
            OptionError: a factor is missing or no positive number.

        >>> Moving.read([], ["embedding=0.1", "cell/*=0.5"]).scales
        (('embedding', 0.1), ('cell/*', 0.5))
        """
        return cls(tuple(freeze), tuple(map(_read_scale, scales)))

    def check(self, params: Params) -> None:
        """Check the names against the parameters of a network, or their shapes.

        Raises:
            UnknownNameError: a name is of no parameter; the message has all of them.
            OptionError: nothing is left that moves.
        """
        names = jax.tree.leaves(named(params))
        for setting, globs in (
            ("freeze", self.freeze),
            ("lr_scale", (glob for glob, _ in self.scales)),
        ):
            for glob in globs:
                if not any(_names(glob, name) for name in names):
                    known = {part for name in names for part in _beginnings(name)}
                    raise UnknownNameError(f"parameter for {setting}", glob, known)
        if all(map(self._is_frozen, names)):
            raise OptionError(
                f"freeze is {', '.join(self.freeze)}, which is every parameter, so there is "
                "nothing to train; leave one out"
            )

    def still(self, params: Params) -> Params:
        """Return the parameters such that no gradient reaches those that are frozen."""
        return jax.tree.map(
            lambda name, leaf: jax.lax.stop_gradient(leaf) if self._is_frozen(name) else leaf,
            named(params),
            params,
        )

    def scaled(self, changes: Tree) -> Tree:
        """Return the changes of the parameters, each times its factor."""
        return jax.tree.map(
            lambda name, leaf: leaf if (factor := self._factor(name)) == 1 else factor * leaf,
            named(changes),
            changes,
        )

    def kept(self, before: Params, after: Params) -> Params:
        """Return the parameters after an update, the frozen ones as they were before it."""
        return jax.tree.map(
            lambda name, old, new: old if self._is_frozen(name) else new,
            named(before),
            before,
            after,
        )

    def _is_frozen(self, name: str) -> bool:
        return any(_names(glob, name) for glob in self.freeze)

    def _factor(self, name: str) -> float:
        return next((f for glob, f in reversed(self.scales) if _names(glob, name)), 1.0)


def _names(glob: str, name: str) -> bool:
    """Say whether a glob names a parameter, or a part of the network that it belongs to."""
    glob = glob.removeprefix(_IN_A_FILE).rstrip("/")
    return any(fnmatch.fnmatchcase(beginning, glob) for beginning in _beginnings(name))


def _beginnings(name: str) -> list[str]:
    """Return a path and those of all that it is a part of.

    >>> _beginnings("cell/U_f/kernel")
    ['cell', 'cell/U_f', 'cell/U_f/kernel']
    """
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _read_scale(text: str) -> tuple[str, float]:
    glob, _, number = text.rpartition("=")
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not glob or not 0 < factor < math.inf:
        raise OptionError(
            f"lr_scale is {text!r}; expected NAME=FACTOR with a factor above 0, such as "
            "embedding=0.1; to keep a parameter as it is, use --freeze"
        )
    return glob, factor
