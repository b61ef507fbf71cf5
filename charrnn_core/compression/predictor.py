"""A trained model as what is coded with: one program that goes both ways."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array, Ids, Params, Tree
from charrnn_core.compression.coder import MOST_BYTES, Intervals, place_of, pull
from charrnn_core.compression.container import MOST_STREAMS
from charrnn_core.compression.distribution import MOST_SYMBOLS, interval, starts_of, symbol_at
from charrnn_core.compression.streams import Streams
from charrnn_core.errors import CompressionError
from charrnn_core.network.network import Network


class Source(NamedTuple):
    """Where symbols come from.

    Fields:
        given: int32[T,B], the symbols, unless they are decoded.
        present: bool[T,B], where there are symbols.
        decoding: bool, whether they are to be decoded.
        states: uint32[B], those of the coder.
        data: uint8[N], what the coder reads.
    """

    given: Any
    present: Any
    decoding: Any
    states: Any
    data: Any


class Coded(NamedTuple):
    """What came of some steps.

    Fields:
        ids: int32[T,B], the symbols.
        intervals: what an encoder needs of them, at least one at each step.
        states: uint32[B], those of the coder, if they were decoded.
        read: int32, how many bytes the coder has read.
    """

    ids: Any
    intervals: Intervals
    states: Any
    read: Any


class Predictor(Protocol):
    """What predicts symbols from those before: of some streams, some steps at a time."""

    @property
    def steps(self) -> int:
        """Return T, how many steps a call takes."""
        ...

    @property
    def data_bytes(self) -> int:
        """Return N, more bytes than a call can read."""
        ...

    def begin(self) -> Tree:
        """Return what is known before the first symbol."""
        ...

    def __call__(self, memory: Tree, source: Source) -> tuple[Tree, Coded]:
        """Take some steps; return what is known after them, and what came of them."""
        ...


REPRODUCIBLE: dict[str, Any] = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_gpu_deterministic_ops": True,
}
"""How programs are compiled, so that neither the number of cores nor chance decides on bits."""

_STEPS = 2048


class ModelPredictor:
    """Codes with a trained network.

    Encoding and decoding are one program, which is told the direction: two programs for the same
    equations may round differently, and then no decoder could follow the encoder.

    Arguments:
        network, params: those of a model.
        first: the id that is read before the first symbol of each stream.
        streams: B.

    Raises:
        CompressionError: the alphabet is too large.
    """

    steps = _STEPS

    @staticmethod
    def streams(symbols: int) -> Streams:
        """Cut a text of so many symbols into streams."""
        return Streams.fitting(symbols, each=1 << 14, most=MOST_STREAMS)

    def __init__(self, network: Network, params: Params, first: int, streams: int) -> None:
        if network.symbols > MOST_SYMBOLS:
            raise CompressionError(
                f"cannot code with an alphabet of {network.symbols:,} symbols; expected at most "
                f"{MOST_SYMBOLS:,}: train a model with --alphabet bytes"
            )
        self._network, self._params = network, jax.device_put(params)
        self._first, self._streams = first, streams
        self._advance = jax.jit(self._take_steps, compiler_options=REPRODUCIBLE)

    @property
    def data_bytes(self) -> int:
        return self.steps * self._streams * MOST_BYTES + MOST_BYTES

    def begin(self) -> Tree:
        carry = jax.jit(self._network.initial_carry, static_argnums=1)(self._params, self._streams)
        return carry, np.full(self._streams, self._first, np.int32)

    def __call__(self, memory: Tree, source: Source) -> tuple[Tree, Coded]:
        return self._advance(self._params, memory, source)

    def _take_steps(self, params: Params, memory: Tree, source: Source) -> tuple[Tree, Coded]:
        step = self._network.stepper(params, memory[0], self._streams)

        def one(state: Tree, item: tuple[Ids, Array]) -> tuple[Tree, Tree]:
            (carry, last), states, at = state
            given, present = item
            logits, carry = step(carry, last)
            starts = starts_of(logits)
            ids = jnp.where(source.decoding, symbol_at(starts, place_of(states)), given)
            start, length = interval(starts, ids)
            pulled = pull(states, start, length, present, source.data, at)
            states = jnp.where(source.decoding, pulled[0], states)
            at = jnp.where(source.decoding, pulled[1], at)
            coded = ids, Intervals(start, jnp.where(present, length, 0))
            return ((carry, ids), states, at), coded

        begin = memory, source.states, jnp.int32(0)
        (memory, states, at), (ids, intervals) = jax.lax.scan(
            one, begin, (source.given, source.present)
        )
        return memory, Coded(ids, intervals, states, at)
