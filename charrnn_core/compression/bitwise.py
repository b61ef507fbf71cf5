"""Bytes predicted bit by bit by counts, a network and repetitions, mixed in the log domain."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array
from charrnn_core.compression.hashing import place, with_byte
from charrnn_core.compression.repetition import Repetition

BITS = 8
"""How many bits a byte has."""

_ORDERS = 6
_CONTEXTS = _ORDERS + 1
_INPUTS, _SETS = _CONTEXTS + 4, _CONTEXTS + 1
_LONG = 16
_MOST_COUNT, _PRIOR = 255, 0.4
_RATE, _FIRST_WEIGHT = 0.02, 0.3
_LARGEST_INPUT, _LEAST_P, _LEAST_SHARE = 12.0, 2e-5, 1e-9


class Bitwise(NamedTuple):
    """What was learnt of all bits so far; all streams learn together.

    A bit is 1 with the probability p,

        logit p = sum_i w_i s_i,   w_i' = w_i + 0.02 (bit - p) s_i

    where s_i are logits too: ``log((n_1 + 0.4) / (n_0 + 0.4))`` with how often the bit was 1 and 0
    after the last 1, 2, .. 6 bytes, and after the last byte and the word that is being read; that
    of the network; and that of what the text repeats, once more if it does so for long. The
    weights are those for the number of contexts that were ever seen. Once a bit is known, what is
    above 2 of the count of the other is halved.

    Fields:
        counts: int16[contexts,2^k,2], n_0 and n_1, found by a hash of the context.
        weights: float32[sets,inputs].
        last: uint8[B,8], the last bytes of each stream, the newest first.
        word: uint32[B], the hash of the word that is being read.
        repetition: what the text repeats.

    Sources: Mahoney 2005, Adaptive weighing of context models for lossless data compression; the
    network as one of the models is by Knoll, lstm-compress, 2017.
    """

    counts: Any
    weights: Any
    last: Any
    word: Any
    repetition: Repetition

    @classmethod
    def untaught(cls, streams: int, steps: int) -> "Bitwise":
        """Return what is known before streams of so many bytes: nothing.

        >>> Bitwise.untaught(streams=2, steps=1000).counts.shape
        (7, 32768, 2)
        """
        bits = min(max(12, (2 * BITS * streams * steps).bit_length()), 22)
        weights = np.full((_SETS, _INPUTS), _FIRST_WEIGHT, np.float32)
        weights[:, -1] = 0
        return cls(
            counts=np.zeros((_CONTEXTS, 1 << bits, 2), np.int16),
            weights=weights,
            last=np.zeros((streams, 8), np.uint8),
            word=np.zeros(streams, np.uint32),
            repetition=Repetition.none(streams, steps, min(bits, 20)),
        )

    def before_byte(self, network: Array) -> "BeforeByte":
        """Return what is known of the next byte.

        Arguments:
            network: ``float32[B,256]``, the sums of the probabilities of all lower bytes.
        """
        hashed, hashes = jnp.zeros_like(self.word), []
        for k in range(_ORDERS):
            hashed = with_byte(hashed, self.last[:, k])
            hashes.append(hashed)
        hashes.append(with_byte(self.word, self.last[:, 0]))
        sums = jnp.concatenate([network, jnp.ones_like(network[:, :1])], axis=1)
        expected, trust = self.repetition.expected, self.repetition.trust
        return BeforeByte(jnp.stack(hashes), sums, expected, trust, self.repetition.length >= _LONG)

    def before_bit(self, byte: "BeforeByte", node: Array, index: Array) -> "BeforeBit":
        """Return the prediction of a bit.

        Arguments:
            node: ``int32[B]``, the bits of the byte that were read, after a 1.
            index: ``int32``, how many these are.
        """
        hashed = with_byte(byte.hashes, jnp.broadcast_to(node[None], byte.hashes.shape))
        places = place(hashed, self.counts.shape[1])
        pairs = self.counts[jnp.arange(_CONTEXTS)[:, None], places]
        n = jnp.maximum(pairs, 0).astype(jnp.float32) + _PRIOR
        of_counts = jnp.log(n[..., 1] / n[..., 0])
        seen = jnp.sum(jnp.any(pairs[:-1] > 0, axis=-1), axis=0, dtype=jnp.int32)
        says, repeated = byte.repeated(node, index)
        sure = jnp.where(says, byte.trust * (2 * repeated - 1).astype(jnp.float32), 0.0)
        others = [byte.of_network(node, index), sure, jnp.where(byte.long, sure, 0.0)]
        rows = [*of_counts, *others, jnp.ones_like(sure)]
        inputs = jnp.clip(jnp.stack(rows, axis=-1), -_LARGEST_INPUT, _LARGEST_INPUT)
        p = jax.nn.sigmoid(jnp.sum(self.weights[seen] * inputs, axis=-1))
        p = jnp.clip(p, _LEAST_P, 1 - _LEAST_P)
        return BeforeBit(places, pairs, inputs, seen, says, repeated, p)

    def after_bit(self, before: "BeforeBit", bit: Array) -> "Bitwise":
        """Learn from a bit, ``int32[B]``, of which this was known before."""
        hit = (jnp.arange(2)[None] == bit[:, None])[None]
        more = jnp.where(hit & (before.pairs < _MOST_COUNT), jnp.int16(1), jnp.int16(0))
        fewer = jnp.where(~hit & (before.pairs > 2), before.pairs - 1 >> 1, jnp.int16(0))
        rows = jnp.arange(_CONTEXTS)[:, None]
        error = bit.astype(jnp.float32) - before.p
        steps = _RATE * error[:, None] * before.inputs
        chosen = jnp.arange(_SETS)[:, None] == before.seen[None]
        right = before.repeated == bit
        return self._replace(
            counts=self.counts.at[rows, before.places].add(more - fewer),
            weights=self.weights + jnp.sum(jnp.where(chosen[..., None], steps[None], 0.0), axis=1),
            repetition=self.repetition.after_bit(right, before.says),
        )

    def after_byte(self, byte: Array) -> "Bitwise":
        """Remember a byte, ``int32[B]``."""
        newest = byte.astype(jnp.uint8)
        last = jnp.concatenate([newest[:, None], self.last[:, :-1]], axis=1)
        lower = byte | 32
        letter = (lower >= ord("a")) & (lower <= ord("z")) | (byte >= 128)
        word = jnp.where(letter, with_byte(self.word, newest), jnp.uint32(0))
        return self._replace(last=last, word=word, repetition=self.repetition.after_byte(last))


class BeforeByte(NamedTuple):
    """What is known of a byte before its first bit.

    Fields:
        hashes: uint32[contexts,B].
        sums: float32[B,257], what the network says: the probabilities of all lower bytes.
        expected: int32[B], the byte that follows in a repetition; -1 for none.
        trust: float32[B], the logit that it does.
        long: bool[B], whether the repetition is long.
    """

    hashes: Any
    sums: Any
    expected: Any
    trust: Any
    long: Any

    def of_network(self, node: Array, index: Array) -> Array:
        """Return the logit that a bit is 1, as the network says: ``float32[B]``."""
        width = BITS - index
        low = (node << width) - (1 << BITS)
        edges = jnp.stack([low, low + (1 << width - 1), low + (1 << width)], axis=1)
        sums = jnp.take_along_axis(self.sums, edges, axis=1)
        p = jnp.diff(sums, axis=1)
        zero, one = jnp.where(p > _LEAST_SHARE, p, _LEAST_SHARE).T  # also if it is not a number
        return jnp.log(one / zero)

    def repeated(self, node: Array, index: Array) -> tuple[Array, Array]:
        """Return whether a repetition says what the bit is, and what: ``bool[B], int32[B]``."""
        left = BITS - 1 - index
        marked = self.expected + (1 << BITS)
        return (self.expected >= 0) & (marked >> left + 1 == node), marked >> left & 1


class BeforeBit(NamedTuple):
    """What is known of a bit before it is, and what that follows from.

    Fields:
        places: int32[contexts,B], where its counts are.
        pairs: int16[contexts,B,2], the counts.
        inputs: float32[B,inputs], s.
        seen: int32[B], how many contexts were seen before.
        says, repeated: whether a repetition says what it is, and what.
        p: float32[B], the probability of 1.
    """

    places: Any
    pairs: Any
    inputs: Any
    seen: Any
    says: Any
    repeated: Any
    p: Any
