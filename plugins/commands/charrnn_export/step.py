"""The step of an exported model as a function of arrays, for formats that hold programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array
from charrnn_core.engine.equations import Env, read, run
from charrnn_core.errors import ExportError
from charrnn_core.javascript.split import Numbers, Split

SYMBOL, LOG_PROBABILITIES = "id", "log_probabilities"


@dataclass(frozen=True, eq=False)
class Step:
    """``log p, *carry' = step(id, *carry)``: reads one character of one stream.

    Arguments:
        split: the equations, with the numbers that follow from the parameters.
    """

    split: Split

    def __call__(self, ids: Array, *carry: Array) -> list[Array]:
        """Return log p of what comes next, ``float32[1,V]``, and the leaves of the next carry.

        Arguments:
            ids: ``int32[1]``, what is read.
            carry: the leaves of the carry.
        """
        split = self.split
        env: Env = {**split.constants, split.symbol: ids}  # type: ignore[dict-item]
        for value, table in split.tables.items():
            env[value] = jnp.asarray(table)[ids[0]]
        env.update(zip(split.carry, carry, strict=True))
        env = run(split.equations, env)
        logits, *after = (read(env, atom) for atom in (split.logits, *split.after))
        return [jax.nn.log_softmax(logits), *after]

    @property
    def start(self) -> list[Numbers]:
        """The leaves of the carry before the first character."""
        return [np.asarray(leaf) for leaf in jax.tree.leaves(self.split.start)]

    @property
    def arguments(self) -> list[jax.ShapeDtypeStruct]:
        """The shapes of what it is called with."""
        leaves = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in self.start]
        return [jax.ShapeDtypeStruct((1,), jnp.int32), *leaves]

    @property
    def inputs(self) -> list[str]:
        """The names of what it is called with."""
        return [SYMBOL, *(f"carry.{i}" for i in range(len(self.start)))]

    @property
    def outputs(self) -> list[str]:
        """The names of what it returns."""
        return [LOG_PROBABILITIES, *(f"next.{i}" for i in range(len(self.start)))]

    def described_carry(self) -> list[dict[str, Any]]:
        """Return names, shapes, types and first values of the leaves of the carry, for JSON.

        Raises:
            ExportError: there are numbers that JSON has no notation for.
        """
        return [
            {
                "name": name,
                "shape": list(leaf.shape),
                "dtype": leaf.dtype.name,
                "start": _plain(leaf),
            }
            for name, leaf in zip(self.inputs[1:], self.start, strict=True)
        ]


def _plain(leaf: Numbers) -> Any:
    """Return the elements of an array: one number if they are all the same."""
    if leaf.dtype.kind == "c":
        raise ExportError(
            "the carry of this cell has complex numbers, which only --to html and --to safetensors "
            "can hold"
        )
    same = leaf.size and (leaf == leaf.flat[0]).all()
    elements: Sequence[Any] | float = leaf.flat[0].item() if same else leaf.tolist()
    return elements
