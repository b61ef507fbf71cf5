"""The units of a carry: every number in it, whatever its structure, in one row."""

from collections.abc import Sequence
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
        leaf: the leaf it is in, such as ``carry[0]``; the parts of a complex number are two leaves.
        number: its place in the leaf, counted in rows of the last axis.
    """

    leaf: str
    number: int


@dataclass(frozen=True)
class Units:
    """Finds the units of a carry.

    Arguments:
        names: the units that are looked at, leaf by leaf.
        places: for each leaf, those of its numbers that are looked at.
        all: how many units the carry has.

    >>> units = Units.of((jnp.ones((1, 2)), {"on": jnp.array([True]), "z": jnp.array([2 - 1j])}))
    >>> [f"{leaf} {number}" for leaf, number in units.names]
    ['carry[0] 0', 'carry[0] 1', "carry[1]['on'] 0", "carry[1]['z'].real 0", "carry[1]['z'].imag 0"]
    >>> units.row((jnp.ones((1, 2)), {"on": jnp.array([True]), "z": jnp.array([2 - 1j])})).tolist()
    [[1.0, 1.0, 1.0, 2.0, -1.0]]
    """

    names: tuple[Unit, ...]
    places: tuple[npt.NDArray[np.int64], ...]
    all: int

    @classmethod
    def of(cls, carry: Carry, most: int = MOST) -> "Units":
        """Find the units of a carry, or of the shapes of one; random keys have none.

        Where there are more than `most`, each leaf gives the same share.
        """
        leaves = _numeric(jax.eval_shape(lambda carry: carry, carry))
        sizes = [int(np.prod(leaf.shape[1:])) for _, leaf in leaves]
        total = sum(sizes)
        share = min(1.0, most / max(1, total))
        places = tuple(
            np.unique(np.linspace(0, size - 1, max(1, int(size * share))).round().astype(np.int64))
            for size in sizes
        )
        names = tuple(
            Unit(name, int(number))
            for (name, _), some in zip(leaves, places, strict=True)
            for number in some
        )
        return cls(names, places, total)

    def row(self, carry: Carry) -> Array:
        """Return the units of every stream: ``float32[B,U]``."""
        leaves = [leaf.reshape(len(leaf), -1) for _, leaf in _numeric(carry)]
        some = [leaf[:, at] for leaf, at in zip(leaves, self.places, strict=True)]
        return jnp.concatenate([leaf.astype(jnp.float32) for leaf in some], axis=1)


def _numeric(carry: Carry) -> Sequence[tuple[str, Array]]:
    """Return the leaves with numbers, by name; a complex one as its two parts."""
    leaves = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(carry):
        name = f"carry{jax.tree_util.keystr(path)}"
        if is_key(leaf):
            continue
        if not jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            leaves.append((name, leaf))
            continue
        for part, take in (("real", jnp.real), ("imag", jnp.imag)):
            shown = isinstance(leaf, jax.ShapeDtypeStruct)
            leaves.append((f"{name}.{part}", leaf if shown else take(leaf)))
    return leaves
