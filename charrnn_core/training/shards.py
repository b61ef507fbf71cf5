"""The gradient of a window whose streams many devices share, added up in an order that is fixed.

A device computes the gradient of its own streams. Who then adds what, and in which order, is
usually up to the transport: between processes a ring, in one process another order, and floating
point tells the difference. Here the order is that of the shards, whatever carries the numbers: each
device gets one slice of every shard's gradient, adds the slices up, and all gather the sums. That
is as many bytes as a ring takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from charrnn_core.arrays import Array, Carry, Params, Tree
from charrnn_core.network.portion import Portion, portion_read
from charrnn_core.network.reading import Lookup
from charrnn_core.sharing import AXIS
from charrnn_core.training.batches import Batch
from charrnn_core.training.window_loss import WindowLoss

EVERYWHERE, BY_STREAM, BY_WINDOW = (PartitionSpec(*axes) for axes in ((), (AXIS,), (None, AXIS)))
"""Where arrays are: the same on every device, or split along the streams, ``[B,...]``, ``[T,B]``.
"""


@dataclass(frozen=True)
class SharedLoss:
    """The loss of a network on one window of its streams, which devices share evenly.

    With one shard it is the `WindowLoss` itself, to the bit.

    Arguments:
        whole: the loss of all streams.
        shards: S, how many devices share them.
    """

    whole: WindowLoss
    shards: int

    def gradient(
        self,
        params: Params,
        carry: Carry,
        batch: Batch,
        key: jax.Array,
        readings: jax.Array | None,
    ) -> tuple[Portion, Params, tuple[Carry, jax.Array]]:
        """Return the same as `WindowLoss.gradient`, for arrays laid out over the mesh ``data``.

        The loss has to be a mean over characters, as the kit for losses demands:

            nats = sum_s W_s nats_s / sum_s W_s;  gradient = sum_s (d W_s nats_s / d params) / (T B)

        with s from 0 to S - 1, in that order, and W_s the number of characters of shard s.
        """
        if self.shards == 1:
            return self.whole.gradient(params, carry, batch, key, readings)
        begun = self.whole.restarted(params, carry, batch)
        portion = portion_read(self.whole.network, begun, batch.inputs, _everywhere)
        part = replace(self.whole, streams=self.whole.streams // self.shards)

        def of_a_shard(
            params: Params, carry: Carry, batch: Batch, bits: Array, lookup: Lookup | None
        ) -> tuple[Params, Carry, Array]:
            def objective(params: Params) -> tuple[Array, tuple[Carry, Array]]:
                key = jax.random.wrap_key_data(bits)
                value, more = part.objective(params, carry, batch, key, lookup)
                return value / self.shards, more

            grads, (after, nats) = jax.grad(objective, has_aux=True)(params)
            count = jnp.sum(batch.weights)
            grads, total, counts = summed((grads, nats * count, count), self.shards)
            return grads, after, total / jnp.maximum(counts, 1.0)

        lookup = portion.lookup(readings)
        of_batch = Batch(BY_WINDOW, BY_WINDOW, BY_STREAM, BY_WINDOW)
        grads, carry, nats = jax.shard_map(
            of_a_shard,
            in_specs=(EVERYWHERE, BY_STREAM, of_batch, EVERYWHERE, BY_WINDOW),
            out_specs=(EVERYWHERE, BY_STREAM, EVERYWHERE),
            check_vma=False,  # the sums are the same everywhere, which jax cannot know
        )(portion.take(params), carry, batch, jax.random.key_data(key), lookup)
        return portion, grads, (carry, nats)


def _everywhere(array: Array) -> Array:
    return lax.with_sharding_constraint(array, EVERYWHERE)


def summed(tree: Tree, shards: int) -> Tree:
    """Return the sum of every leaf over the shards, added in their order, on every device.

    It is for the inside of a ``shard_map`` over ``data``. Two collectives are all it takes: one
    vector has all leaves, in the widest of their types and at least float32.
    """
    leaves, structure = jax.tree.flatten(tree)
    vector = _joined(leaves)
    rows = jnp.pad(vector, (0, -len(vector) % shards)).reshape(shards, -1)
    # Row s of what comes in is shard s's part of the slice that this device adds up.
    mine = lax.all_to_all(rows, AXIS, split_axis=0, concat_axis=0)
    total = reduce(jnp.add, (mine[shard] for shard in range(shards)))
    every = lax.all_gather(total, AXIS, tiled=True)
    return structure.unflatten(_parted(every, leaves))


def _joined(leaves: Sequence[Array]) -> Array:
    """Return all leaves in one vector; a complex number is two."""
    real = [jnp.stack([x.real, x.imag]) if _is_complex(x) else x for x in leaves]
    widest: Any = jnp.result_type(jnp.float32, *(leaf.dtype for leaf in real))
    return jnp.concatenate([leaf.astype(widest).reshape(-1) for leaf in real])


def _parted(vector: Array, leaves: Sequence[Array]) -> list[Array]:
    """Return what `_joined` has joined, in the shapes and types of these leaves."""
    parted, start = [], 0
    for leaf in leaves:
        size = leaf.size * (2 if _is_complex(leaf) else 1)
        part = vector[start : start + size]
        if _is_complex(leaf):
            part = lax.complex(*part.reshape(2, *leaf.shape))
        parted.append(part.reshape(leaf.shape).astype(leaf.dtype))
        start += size
    return parted


def _is_complex(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.complexfloating)
