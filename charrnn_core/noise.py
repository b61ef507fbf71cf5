"""Noise that regularises a network during training: dropout, variational dropout and zoneout.

A step draws from two keys: one is new at every step, the other shared by all steps of a window. A
linen cell has them as the random streams ``step`` and ``window``, which exist only during training,
so one equation serves both training and evaluation.

Where devices share the streams, each draws its rows of what is drawn for all of them, so a training
has the same noise however many devices it is spread over.
"""

from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32

from charrnn_core.sharing import AXIS, shares


class Noise(NamedTuple):
    """The two keys that a training step may draw from, as raw bits that `lax.scan` can take.

    Fields:
        step: the bits of a key that differs from step to step.
        window: the bits of a key that all steps of a window share.
    """

    step: jax.Array
    window: jax.Array

    def keys(self) -> dict[str, jax.Array]:
        """Return the two keys by name.

        >>> bits = jax.random.key_data(jax.random.key(0))
        >>> sorted(Noise(bits, bits).keys())
        ['step', 'window']
        """
        return {name: jax.random.wrap_key_data(bits) for name, bits in self._asdict().items()}

    def fold_in(self, part: int) -> "Noise":
        """Return noise for one part of a network, independent of that of the other parts."""
        folded = {name: jax.random.fold_in(key, part) for name, key in self.keys().items()}
        return Noise(**{name: jax.random.key_data(key) for name, key in folded.items()})


def chance(
    key: jax.Array, rate: float, shape: tuple[int, ...], streams: int | None = 0
) -> jax.Array:
    """Draw ``bool[shape]``, each element True with probability `rate`, to the nearest 1/65,536.

    Two elements share a random word, because drawing words is most of the cost of noise.

    Arguments:
        key: of the draw.
        rate: the probability.
        shape: that of the result.
        streams: the axis along which devices share the streams; None for what all streams have in
            common, such as a mask for weights.

    >>> float(chance(jax.random.key(0), 0.25, (100, 101)).mean().round(2))
    0.25
    """
    *outer, width = shape
    if not outer and streams is not None and (shared := shares()) > 1:
        # A word may belong to the streams of two devices.
        whole = chance(key, rate, (shared * width,), None)
        return jax.lax.dynamic_slice(whole, (jax.lax.axis_index(AXIS) * width,), shape)
    # In long rows, since short ones are unrolled, which takes XLA longer to compile.
    long = (*outer[:-1], prod(outer[-1:]) * -(-width // 2))
    words = random_words(key, long, streams)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16)
    halves = halves.reshape(*outer, -1)[..., :width]
    return halves.astype(jnp.int32) < round(rate * 2**16)


def random_words(key: jax.Array, shape: tuple[int, ...], streams: int | None = 0) -> jax.Array:
    """Draw ``uint32[shape]``, all random; `streams` as for `chance`.

    >>> random_words(jax.random.key(0), (2, 3)).dtype
    dtype('uint32')
    """
    count = 1 if streams is None else shares()
    if streams is None or count == 1:
        return jax.random.bits(key, shape, jnp.uint32)
    whole = (*shape[:streams], count * shape[streams], *shape[streams + 1 :])
    first = jax.lax.axis_index(AXIS) * shape[streams]
    if not _is_by_position(key, whole):
        words = jax.random.bits(key, whole, jnp.uint32)
        return jax.lax.dynamic_slice_in_dim(words, first, shape[streams], streams)
    position = jnp.zeros(shape, jnp.uint32)
    for axis, size in enumerate(whole):
        index = jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
        if axis == streams:
            index += first.astype(jnp.uint32)
        position = position * jnp.uint32(size) + index
    # As jax.random.bits does it: a word is both halves of the hash of its position.
    counts = jnp.stack([jnp.zeros_like(position), position])
    bits = jax.random.key_data(key)
    high, low = threefry_2x32((bits[0], bits[1]), counts)
    return high ^ low


def random_shares(key: jax.Array, shape: tuple[int, ...], streams: int | None = 0) -> jax.Array:
    """Draw ``float32[shape]``, uniform in [0, 1), as `jax.random.uniform` does.

    >>> bool((random_shares(jax.random.key(0), (5,)) == jax.random.uniform(jax.random.key(0), (5,)))
    ...      .all())
    True
    """
    if streams is None or shares() == 1:
        return jax.random.uniform(key, shape)
    words = random_words(key, shape, streams)
    one = jnp.uint32(0x3F800000)  # 1.0; a random mantissa makes it a number in [1, 2)
    return jax.lax.bitcast_convert_type(words >> jnp.uint32(9) | one, jnp.float32) - 1.0


def _is_by_position(key: jax.Array, shape: tuple[int, ...]) -> bool:
    """Return whether a word follows from the key and its place alone."""
    partitionable = bool(jax.config.jax_threefry_partitionable)  # pyright: ignore
    is_threefry = str(jax.random.key_impl(key)) == "threefry2x32"
    return partitionable and is_threefry and prod(shape) < 2**32


def dropout(key: jax.Array, rate: float, value: jax.Array, streams: int | None = 0) -> jax.Array:
    """Return ``value * m / (1 - rate)``, each element of m being 0 with probability `rate`, else 1.

    Arguments:
        key, rate: of the draw.
        value: what is regularised, ``float[...]``.
        streams: as for `chance`.

    Source: Hinton et al., Improving neural networks by preventing co-adaptation of feature
    detectors, 2012, arXiv 1207.0580; scaled during training, so that evaluation needs no scaling.

    >>> kept = dropout(jax.random.key(0), 0.25, jnp.full((400,), 3.0))
    >>> sorted({float(x) for x in kept}), bool(260 < (kept > 0).sum() < 340)
    ([0.0, 4.0], True)
    """
    dropped = chance(key, rate, value.shape, streams)
    return jnp.where(dropped, jnp.zeros((), value.dtype), value / (1.0 - rate))


def variational(module: Any, rate: float, value: jax.Array) -> jax.Array:
    """Apply dropout to a linen cell's value, with one mask per row for all steps of a window.

    Arguments:
        module: the linen module that the value belongs to.
        rate: the probability that an element is 0 throughout the window.
        value: ``float[B,H]``; returned unchanged except during training.

    Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural
    Networks, 2016, arXiv 1512.05287. The mask is drawn for every window instead of every sequence.
    """
    if not rate or not module.has_rng("window"):
        return value
    return dropout(module.make_rng("window"), rate, value)


def zoneout(module: Any, rate: float, old: jax.Array, new: jax.Array) -> jax.Array:
    """Return ``m * old + (1 - m) * new``, each element of m being 1 with probability `rate`.

    The mask m is drawn at every step. Outside training the result is the expectation,
    ``rate * old + (1 - rate) * new``.

    Arguments:
        module: the linen module that the state belongs to.
        rate: the probability that an element keeps its old value.
        old, new: ``float[B,H]``, the state before and after the step.

    Source: Krueger et al., Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations,
    2016, arXiv 1606.01305.
    """
    if not rate:
        return new
    if not module.has_rng("step"):
        return rate * old + (1.0 - rate) * new
    return jnp.where(chance(module.make_rng("step"), rate, new.shape), old, new)
