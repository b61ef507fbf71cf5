"""A network of bytes that learns while it codes, mixed with counts bit by bit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from charrnn_core.arrays import Array, Params, Tree
from charrnn_core.cell import as_cell
from charrnn_core.compression.bitwise import (
    Bitwise,
    after_bit,
    after_byte,
    before_bit,
    before_byte,
    beginning,
)
from charrnn_core.compression.coder import MOST_BYTES, Intervals, place_of, pull
from charrnn_core.compression.distribution import TOTAL, sums_before
from charrnn_core.compression.predictor import SINGLE_THREADED, Coded, Source
from charrnn_core.network.network import Network
from charrnn_core.randomness import random_key
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

_CELL, _WINDOW, _LEARNING_RATE = "lstm:128", 32, 0.004


class _Memory(NamedTuple):
    params: Any
    optimizer: Any
    carry: Any
    last: Any
    bitwise: Bitwise


class Learner:
    """Codes bytes with a network that learns from each window as soon as it is coded.

    Arguments:
        streams: B.
        steps: the length of the longest stream.
    """

    steps = 2048

    def __init__(self, streams: int, steps: int) -> None:
        cell = Registry.installed().build_cell(Ref.parse(_CELL), as_cell)
        self._network = Network(cell, 256)
        self._streams, self._length = streams, -(-steps // self.steps) * self.steps
        self._optimizer = optax.chain(
            optax.clip_by_global_norm(1.0), optax.adam(_LEARNING_RATE, b2=0.99)
        )
        self._advance = jax.jit(
            self._take_steps, donate_argnums=0, compiler_options=SINGLE_THREADED
        )

    @property
    def data_bytes(self) -> int:
        return 8 * self.steps * self._streams * MOST_BYTES + MOST_BYTES

    def begin(self) -> Tree:
        def fresh() -> Any:
            params = self._network.init(random_key(0, "init"))
            carry = self._network.initial_carry(params, self._streams)
            return params, self._optimizer.init(params), carry

        last = np.zeros(self._streams, np.int32)
        memory = _Memory(*jax.jit(fresh)(), last, beginning(self._streams, self._length))
        return jax.device_put(memory)

    def __call__(self, memory: Tree, source: Source) -> tuple[Tree, Coded]:
        return self._advance(memory, source)

    def _take_steps(self, memory: _Memory, source: Source) -> tuple[Tree, Coded]:
        def cut(leaf: Array) -> Array:
            return leaf.reshape(-1, _WINDOW, *leaf.shape[1:])

        def window(state: Tree, items: Tree) -> tuple[Tree, Tree]:
            memory, coder = state
            return self._window(memory, coder, items, source)

        items = cut(source.given), cut(source.present)
        state = memory, (source.states, jnp.int32(0))
        (memory, (states, at)), (ids, intervals) = jax.lax.scan(window, state, items)
        flat = [leaf.reshape(-1, self._streams) for leaf in intervals]
        return memory, Coded(ids.reshape(-1, self._streams), Intervals(*flat), states, at)

    def _window(self, memory: _Memory, coder: Tree, items: Tree, source: Source) -> Any:
        step = self._network.stepper(memory.params, memory.carry, self._streams)

        def byte(state: Tree, item: Tree) -> tuple[Tree, Tree]:
            carry, last, bitwise, coder = state
            given, present = item
            logits, carry = step(carry, last)
            p = jax.nn.softmax(logits)
            sums = jnp.concatenate([sums_before(p), jnp.ones((len(p), 1))], axis=1)
            known = before_byte(bitwise, sums)

            def bit(state: Tree, index: Array) -> tuple[Tree, Tree]:
                node, bitwise, (states, at) = state
                predicted = before_bit(bitwise, known, node, index)
                zeros = (TOTAL - jnp.round(predicted.p * TOTAL)).astype(jnp.uint32)
                decoded = (place_of(states) >= zeros).astype(jnp.int32)
                value = jnp.where(source.decoding, decoded, given >> (7 - index) & 1)
                value = jnp.where(present, value, 0)
                start = jnp.where(value == 1, zeros, jnp.uint32(0))
                length = jnp.where(value == 1, TOTAL - zeros, zeros)
                pulled = pull(states, start, length, present, source.data, at)
                states = jnp.where(source.decoding, pulled[0], states)
                at = jnp.where(source.decoding, pulled[1], at)
                bitwise = after_bit(bitwise, known, predicted, value)
                coded = Intervals(start, jnp.where(present, length, 0))
                return (node << 1 | value, bitwise, (states, at)), coded

            node = jnp.ones(self._streams, jnp.int32)
            (node, bitwise, coder), intervals = jax.lax.scan(
                bit, (node, bitwise, coder), jnp.arange(8)
            )
            ids = node - 256
            return (carry, ids, after_byte(bitwise, ids), coder), (ids, intervals)

        state = memory.carry, memory.last, memory.bitwise, coder
        (carry, last, bitwise, coder), (ids, intervals) = jax.lax.scan(byte, state, items)
        inputs = jnp.concatenate([memory.last[None], ids[:-1]])
        gradient = jax.grad(self._loss)(memory.params, memory.carry, inputs, ids)
        updates, optimizer = self._optimizer.update(gradient, memory.optimizer, memory.params)
        params = optax.apply_updates(memory.params, updates)
        return (_Memory(params, optimizer, carry, last, bitwise), coder), (ids, intervals)

    def _loss(self, params: Params, carry: Tree, inputs: Array, targets: Array) -> Array:
        logits, _ = self._network.unroll(params, carry, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()
