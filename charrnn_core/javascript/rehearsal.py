"""What an exported step computes, run by JAX, where it can be measured on a long text."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Params
from charrnn_core.engine.equations import Env, read, run
from charrnn_core.javascript.split import Numbers, Split
from charrnn_core.network.counts import Counts
from charrnn_core.network.network import Network


@dataclass(frozen=True, eq=False)
class Rehearsal(Network):
    """A network whose parameters are the numbers of a file: constants, and rows for each symbol.

    It is only used, not trained: what a network draws while it learns is left out, and a table of
    counts, if the file has one, is among the constants.

    Arguments:
        split: the step that the file was made of.

    Example::

        rehearsal, numbers = Rehearsal.of(model.network, compiled.source, halved)
        logits, carry = rehearsal.unroll(numbers, rehearsal.initial_carry(numbers, 8), ids)
    """

    split: Split = field(kw_only=True)

    @classmethod
    def of(
        cls, network: Network, split: Split, stored: Callable[[Numbers], Numbers]
    ) -> tuple["Rehearsal", Params]:
        """Return a network and its parameters.

        Arguments:
            network: what `split` was made of.
            stored: returns an array as the file stores it.
        """
        own = {name: getattr(network, name) for name in Network.__dataclass_fields__}
        rehearsal = cls(**{**own, "counts": Counts()}, split=split)
        numbers = {
            "constants": [_read_back(array, stored) for array in split.constants.values()],
            "tables": [_read_back(array, stored) for array in split.tables.values()],
        }
        return rehearsal, numbers

    def initial_carry(self, params: Params, batch: int) -> Carry:
        """Return the carry before the first character, for `batch` streams."""
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape[1:])), self.split.start)

    def unroll(
        self, params: Params, carry: Carry, inputs: Array, *_: Any, **__: Any
    ) -> tuple[Array, Carry]:
        """Read ``inputs: int32[T,B]``; return ``float32[T,B,V]`` and the carry after them."""
        known: Env = dict(zip(self.split.constants, params["constants"], strict=True))
        structure = jax.tree.structure(carry)

        def of_stream(leaves: list[Array], symbol: Array) -> tuple[list[Array], Array]:
            env = {**known, self.split.symbol: symbol[None]}
            for value, table in zip(self.split.tables, params["tables"], strict=True):
                env[value] = table[symbol]
            env.update(zip(self.split.carry, (leaf[None] for leaf in leaves), strict=True))
            env = run(self.split.equations, env)
            after = [read(env, atom)[0] for atom in self.split.after]
            return after, read(env, self.split.logits)[0]

        leaves, logits = jax.lax.scan(jax.vmap(of_stream), jax.tree.leaves(carry), inputs)
        return logits, jax.tree.unflatten(structure, leaves)


def _read_back(array: Numbers, stored: Callable[[Numbers], Numbers]) -> Array:
    return jnp.asarray(stored(array).astype(array.dtype))
