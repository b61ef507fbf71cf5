"""Bytes predicted bit by bit: counts after many contexts, the last repetition, and what mixes them.

All of it learns from every bit that has been coded, and starts from nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array

ORDERS = (1, 2, 3, 4, 5, 6)
"""So many bytes before a bit are contexts; besides, the word that is being read."""

_CONTEXTS = len(ORDERS) + 1
_INPUTS = _CONTEXTS + 4
_SETS = _CONTEXTS + 1

_MOST_COUNT, _PRIOR = 255, 0.4
_RATE = 0.02
_LEAST_REPEAT, _LONGEST_REPEAT = 6, 32
_SPREAD = np.uint32(0x9E3779B9)


class Bitwise(NamedTuple):
    """What was learnt, of S streams together.

    Fields:
        counts: int16[contexts,2^k,2], how often a bit was 0 or 1 after each context.
        weights: float32[sets,inputs], one set for each number of contexts that were seen before.
        last: uint8[S,8], the last bytes of each stream, the newest first.
        word: uint32[S], the hash of the word that is being read.
        text: uint8[S L], all that was read.
        places: int32[2^k], where in the text each string of the least length was last.
        repeat: int32[S], where the text goes on that repeats itself; and how long it has, int32[S].
        length: int32[S].
        trust: float32[longest,2], how often a repetition went on and did not, by its length.
        at: int32, how many bytes were read of each stream.
    """

    counts: Any
    weights: Any
    last: Any
    word: Any
    text: Any
    places: Any
    repeat: Any
    length: Any
    trust: Any
    at: Any


def beginning(streams: int, steps: int) -> Bitwise:
    """Return what is known before the first byte of streams of so many bytes."""
    bits = int(np.clip(np.ceil(np.log2(16 * max(1, streams * steps))), 12, 22))
    weights = np.zeros((_SETS, _INPUTS), np.float32)
    weights[:, :-1] = 0.3
    return Bitwise(
        counts=np.zeros((_CONTEXTS, 1 << bits, 2), np.int16),
        weights=weights,
        last=np.zeros((streams, 8), np.uint8),
        word=np.zeros(streams, np.uint32),
        text=np.zeros(streams * steps, np.uint8),
        places=np.full(1 << min(bits, 20), -1, np.int32),
        repeat=np.zeros(streams, np.int32),
        length=np.zeros(streams, np.int32),
        trust=np.ones((_LONGEST_REPEAT, 2), np.float32),
        at=np.int32(0),
    )


class Byte(NamedTuple):
    """What is known of a byte before its first bit, of S streams.

    Fields:
        hashes: uint32[contexts,S], of the contexts.
        sums: float32[S,257], the probabilities of all lower bytes, as a network has them.
        expected: int32[S], the byte that follows if the text repeats itself; -1 if it does not.
        length: int32[S], how long it has.
    """

    hashes: Any
    sums: Any
    expected: Any
    length: Any


class Bit(NamedTuple):
    """What predicts a bit: inputs, weights and where they come from, to learn from it."""

    places: Any
    pairs: Any
    inputs: Any
    chosen: Any
    expected: Any
    follows: Any
    p: Any


def before_byte(state: Bitwise, sums: Array) -> Byte:
    """Return what is known of the next byte."""
    hashes, hashed = [], jnp.zeros(state.word.shape, jnp.uint32)
    for k in range(1, ORDERS[-1] + 1):
        hashed = (hashed + state.last[:, k - 1].astype(jnp.uint32) + 1) * np.uint32(0x2F0B4C47)
        hashed = hashed ^ hashed >> 15
        if k in ORDERS:
            hashes.append(hashed + np.uint32(k))
    hashes.append(state.word * np.uint32(0x3D4D51CB) + state.last[:, 0].astype(jnp.uint32))
    expected = jnp.where(state.length > 0, state.text[state.repeat].astype(jnp.int32), -1)
    return Byte(jnp.stack(hashes), sums, expected, state.length)


def before_bit(state: Bitwise, byte: Byte, node: Array, index: Array) -> Bit:
    """Return how likely it is that the next bit is 1.

    Arguments:
        node: int32[S], the bits that were read of the byte, after a 1.
        index: int32, how many these are.
    """
    size = state.counts.shape[1]
    hashed = (byte.hashes + (node.astype(jnp.uint32) * _SPREAD)[None]) * np.uint32(0x85EBCA6B)
    places = (hashed >> (32 - (size.bit_length() - 1))).astype(jnp.int32)
    rows = jnp.arange(_CONTEXTS)[:, None]
    pairs = state.counts[rows, places]
    n = jnp.maximum(pairs, 0).astype(jnp.float32)
    of_counts = jnp.log((n[..., 1] + _PRIOR) / (n[..., 0] + _PRIOR))
    chosen = jnp.sum(n[:-1].sum(axis=-1) > 0, axis=0)

    width = 8 - index
    low = (node << width) - 256
    middle, high = low + (1 << (width - 1)), low + (1 << width)
    at = jnp.take_along_axis(byte.sums, jnp.stack([low, middle, high], axis=1), axis=1)
    ones, zeros = at[:, 2] - at[:, 1], at[:, 1] - at[:, 0]
    of_network = jnp.log(jnp.maximum(ones, 1e-9) / jnp.maximum(zeros, 1e-9))

    follows = (byte.expected >= 0) & ((byte.expected + 256) >> width == node)
    next_bit = byte.expected >> (width - 1) & 1
    trust = state.trust[jnp.minimum(byte.length, _LONGEST_REPEAT - 1)]
    sure = jnp.log(trust[:, 1] / trust[:, 0]) * (2 * next_bit - 1)
    of_repeat = jnp.where(follows, sure, 0.0)
    long = jnp.where(byte.length >= 16, of_repeat, 0.0)
    inputs = jnp.concatenate(
        [of_counts, of_network[None], of_repeat[None], long[None], jnp.ones((1, len(node)))]
    ).T
    inputs = jnp.clip(inputs, -12, 12)
    mixed = jnp.sum(state.weights[chosen] * inputs, axis=-1)
    p = jnp.clip(jax.nn.sigmoid(mixed), 2e-5, 1 - 2e-5)
    return Bit(places, pairs, inputs, chosen, next_bit, follows, p)


def after_bit(state: Bitwise, byte: Byte, bit: Bit, value: Array) -> Bitwise:
    """Learn from a bit: ``int32[S]``."""
    rows = jnp.arange(_CONTEXTS)[:, None]
    seen = jnp.stack([1 - value, value], axis=-1)[None].astype(jnp.int16)
    # What contradicts the newest bit counts half from now on.
    grown = jnp.where(bit.pairs < _MOST_COUNT, seen, jnp.int16(0))
    shrunk = jnp.where((seen == 0) & (bit.pairs > 2), -(bit.pairs - 1 >> 1), jnp.int16(0))
    counts = state.counts.at[rows, bit.places].add(grown + shrunk)
    error = value.astype(jnp.float32) - bit.p
    step = _RATE * error[:, None] * bit.inputs
    sets = jnp.arange(_SETS)[:, None] == bit.chosen[None]
    gradient = jnp.sum(jnp.where(sets[..., None], step[None], 0.0), axis=1)
    right = (bit.expected == value).astype(jnp.int32)
    told = jnp.where(bit.follows, 1.0, 0.0)
    trust = state.trust.at[jnp.minimum(byte.length, _LONGEST_REPEAT - 1), right].add(told)
    return state._replace(counts=counts, weights=state.weights + gradient, trust=trust)


def after_byte(state: Bitwise, value: Array) -> Bitwise:
    """Remember a byte: ``int32[S]``."""
    streams, steps = len(value), len(state.text) // len(value)
    newest = value.astype(jnp.uint8)
    here = jnp.arange(streams) * steps + jnp.minimum(state.at, steps - 1)
    text = state.text.at[here].set(newest)
    last = jnp.concatenate([newest[:, None], state.last[:, :-1]], axis=1)
    letter = ((value | 32) >= ord("a")) & ((value | 32) <= ord("z")) | (value >= 128)
    word = (state.word + value.astype(jnp.uint32) + 1) * np.uint32(0x2F0B4C47)
    word = jnp.where(letter, word, jnp.uint32(0))
    hashed = jnp.zeros(streams, jnp.uint32)
    for k in range(_LEAST_REPEAT):
        hashed = (hashed + last[:, k].astype(jnp.uint32) + 1) * np.uint32(0x2F0B4C47)
        hashed = hashed ^ hashed >> 15
    place = (hashed >> (32 - (len(state.places).bit_length() - 1))).astype(jnp.int32)
    goes_on = (state.length > 0) & (state.text[state.repeat] == newest)
    found = state.places[place]
    repeat = jnp.where(goes_on, state.repeat + 1, jnp.where(found >= 0, found, 0))
    length = jnp.where(goes_on, state.length + 1, jnp.where(found >= 0, 1, 0))
    length = jnp.where(repeat < len(state.text), length, 0)
    return state._replace(
        last=last,
        word=word,
        text=text,
        places=state.places.at[place].set(here + 1),
        repeat=jnp.minimum(repeat, len(state.text) - 1),
        length=length,
        at=state.at + 1,
    )
