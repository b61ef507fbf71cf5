"""The units of a carry: every number in it, whatever its structure, in one row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.arrays import Array, Carry
from charrnn_core.network.pytree import is_key

MOST = 4096
"""How many units of a carry are looked at; of more, so many that are spread evenly."""


class Unit(NamedTuple):
    """A number of a carry.

    Fields:
        leaf: the leaf it is in, such as ``c``; the parts of a complex number are two leaves.
        number: its place in the leaf, counted in rows of the last axis.

    >>> str(Unit("c", 17))
    'c #17'
    """

    leaf: str
    number: int

    def __str__(self) -> str:
        return f"{self.leaf} #{self.number}"


@dataclass(frozen=True)
class Units:
    """Finds the units of a carry.

    Arguments:
        names: the units that are looked at, leaf by leaf.
        places: for each leaf, those of its numbers that are looked at.
        all: how many units the carry has.

    >>> carry = {"h": jnp.ones((1, 2)), "on": jnp.array([True]), "z": jnp.array([2 - 1j])}
    >>> units = Units.of(carry, list(carry))
    >>> list(map(str, units.names))
    ['h #0', 'h #1', 'on #0', 'z real #0', 'z imaginary #0']
    >>> units.row(carry).tolist()
    [[1.0, 1.0, 1.0, 2.0, -1.0]]
    """

    names: tuple[Unit, ...]
    places: tuple[npt.NDArray[np.int64], ...]
    all: int

    @classmethod
    def of(cls, carry: Carry, leaves: Sequence[str], most: int = MOST) -> "Units":
        """Find the units of a carry, or of the shapes of one; random keys have none.

        Where there are more than `most`, each leaf gives the same share.

        Arguments:
            leaves: the names of the carry's leaves; `charrnn_core.inspection.names` finds some.
        """
        shapes = jax.tree.leaves(jax.eval_shape(lambda carry: carry, carry))
        numeric = [
            (f"{name}{part}", leaf)
            for name, leaf in zip(leaves, shapes, strict=True)
            for part in _parts(leaf)
        ]
        sizes = [int(np.prod(leaf.shape[1:])) for _, leaf in numeric]
        total = sum(sizes)
        share = min(1.0, most / max(1, total))
        places = tuple(_spread(size, max(1, int(size * share))) for size in sizes)
        names = tuple(
            Unit(name, int(number))
            for (name, _), some in zip(numeric, places, strict=True)
            for number in some
        )
        return cls(names, places, total)

    def row(self, carry: Carry) -> Array:
        """Return the units of every stream: ``float32[B,U]``."""
        leaves = [
            take(leaf).reshape(len(leaf), -1)
            for leaf in jax.tree.leaves(carry)
            for take in _parts(leaf).values()
        ]
        some = [leaf[:, at] for leaf, at in zip(leaves, self.places, strict=True)]
        return jnp.concatenate([leaf.astype(jnp.float32) for leaf in some], axis=1)


def _spread(size: int, count: int) -> npt.NDArray[np.int64]:
    """Return so many places of a leaf, or all that it has, spread evenly."""
    return np.linspace(0, size - 1, min(size, count)).round().astype(np.int64)


def _parts(leaf: Array) -> dict[str, Callable[[Array], Array]]:
    """Return the parts of a leaf that are real numbers, by what is added to its name."""
    if is_key(leaf):
        return {}
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return {" real": jnp.real, " imaginary": jnp.imag}
    return {"": jnp.asarray}
