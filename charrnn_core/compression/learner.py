"""A network of bytes that learns while it codes; no model is needed to have its bytes back."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from charrnn_core.arrays import Array, Params, Tree
from charrnn_core.cell import as_cell
from charrnn_core.compression.bitwise import BITS, Bitwise
from charrnn_core.compression.coder import MOST_BYTES, Intervals, place_of, pull
from charrnn_core.compression.distribution import TOTAL, sums_before
from charrnn_core.compression.predictor import REPRODUCIBLE, Coded, Source
from charrnn_core.compression.streams import Streams
from charrnn_core.network.network import Network
from charrnn_core.randomness import random_key
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

_CELL, _WINDOW, _LEARNING_RATE = "lstm:128", 32, 0.004


class _Memory(NamedTuple):
    """What is known between two windows: what was learnt, and where the streams are."""

    params: Any
    optimizer: Any
    carry: Any
    last: Any
    bitwise: Bitwise


class Learner:
    """Codes bytes with a network that learns from each window as soon as it is coded.

    Arguments:
        streams: those of the text, which learn together.
    """

    steps = 2048

    @staticmethod
    def streams(symbols: int) -> Streams:
        """Cut a text of so many bytes into streams."""
        return Streams.fitting(symbols, each=1 << 15, most=8)

    def __init__(self, streams: Streams) -> None:
        cell = Registry.installed().build_cell(Ref.parse(_CELL), as_cell)
        self._network = Network(cell, 256)
        self._streams = streams.count
        self._length = -(-streams.steps // self.steps) * self.steps
        self._optimizer = optax.chain(
            optax.clip_by_global_norm(1.0), optax.adam(_LEARNING_RATE, b2=0.99)
        )
        self._advance = jax.jit(self._take_steps, donate_argnums=0, compiler_options=REPRODUCIBLE)

    @property
    def data_bytes(self) -> int:
        return BITS * self.steps * self._streams * MOST_BYTES + MOST_BYTES

    def begin(self) -> Tree:
        def fresh() -> tuple[Params, Tree, Tree]:
            params = self._network.init(random_key(0, "init"))
            carry = self._network.initial_carry(params, self._streams)
            return params, self._optimizer.init(params), carry

        params, optimizer, carry = jax.jit(fresh)()
        last = np.zeros(self._streams, np.int32)
        untaught = Bitwise.untaught(self._streams, self._length)
        return jax.device_put(_Memory(params, optimizer, carry, last, untaught))

    def __call__(self, memory: Tree, source: Source) -> tuple[Tree, Coded]:
        return self._advance(memory, source)

    def _take_steps(self, memory: _Memory, source: Source) -> tuple[Tree, Coded]:
        def window(state: Tree, items: Tree) -> tuple[Tree, Tree]:
            (memory, coder), (given, present) = state, items
            return self._take_window(memory, coder, given, present, source)

        shape = self.steps // _WINDOW, _WINDOW, self._streams
        items = source.given.reshape(shape), source.present.reshape(shape)
        state = memory, (source.states, jnp.int32(0))
        (memory, (states, at)), coded = jax.lax.scan(window, state, items)
        ids, starts, lengths = (leaf.reshape(-1, self._streams) for leaf in coded)
        return memory, Coded(ids, Intervals(starts, lengths), states, at)

    def _take_window(
        self, memory: _Memory, coder: Tree, given: Array, present: Array, source: Source
    ) -> tuple[Tree, Tree]:
        """Code the bytes of a window, ``int32[T,B]``, then learn from them."""
        step = self._network.stepper(memory.params, memory.carry, self._streams)

        def byte(state: Tree, item: Tree) -> tuple[Tree, Tree]:
            carry, last, bitwise, coder = state
            given, present = item
            logits, carry = step(carry, last)
            sums = sums_before(jax.nn.softmax(logits))
            ids, bitwise, coder, intervals = self._take_byte(
                bitwise, sums, coder, given, present, source
            )
            return (carry, ids, bitwise, coder), (ids, *intervals)

        state = memory.carry, memory.last, memory.bitwise, coder
        (carry, last, bitwise, coder), coded = jax.lax.scan(byte, state, (given, present))
        ids = coded[0]
        inputs = jnp.concatenate([memory.last[None], ids[:-1]])
        gradient = jax.grad(self._loss)(memory.params, memory.carry, inputs, ids)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, optimizer = self._optimizer.update(gradient, memory.optimizer, memory.params)
        params = optax.apply_updates(memory.params, updates)
        return (_Memory(params, optimizer, carry, last, bitwise), coder), coded

    def _take_byte(
        self,
        bitwise: Bitwise,
        sums: Array,
        coder: Tree,
        given: Array,
        present: Array,
        source: Source,
    ) -> tuple[Array, Bitwise, Tree, Intervals]:
        """Code a byte of each stream, bit by bit; learn from it."""
        known = bitwise.before_byte(sums)

        def one(state: Tree, index: Array) -> tuple[Tree, Intervals]:
            node, bitwise, (states, at) = state
            before = bitwise.before_bit(known, node, index)
            zeros = TOTAL - jnp.round(before.p * TOTAL).astype(jnp.uint32)
            decoded = (place_of(states) >= zeros).astype(jnp.int32)
            bit = jnp.where(source.decoding, decoded, given >> BITS - 1 - index & 1)
            bit = jnp.where(present, bit, 0)
            start = jnp.where(bit == 1, zeros, jnp.uint32(0))
            length = jnp.where(bit == 1, TOTAL - zeros, zeros)
            pulled = pull(states, start, length, present, source.data, at)
            states = jnp.where(source.decoding, pulled[0], states)
            at = jnp.where(source.decoding, pulled[1], at)
            bitwise = bitwise.after_bit(before, bit)
            interval = Intervals(start, jnp.where(present, length, 0))
            return (node << 1 | bit, bitwise, (states, at)), interval

        begin = jnp.ones(self._streams, jnp.int32), bitwise, coder
        indices = jnp.arange(BITS, dtype=jnp.int32)
        (node, bitwise, coder), intervals = jax.lax.scan(one, begin, indices)
        ids = node - (1 << BITS)
        return ids, bitwise.after_byte(ids), coder, intervals

    def _loss(self, params: Params, carry: Tree, inputs: Array, targets: Array) -> Array:
        logits, _ = self._network.unroll(params, carry, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()
