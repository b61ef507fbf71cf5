"""Slots on the device: a program of fixed shape in which every stream is a request of its own."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import PartitionSpec

from charrnn_core.arrays import Array, Logits, Tree
from charrnn_core.cell import Params
from charrnn_core.engine.unroll import restart
from charrnn_core.network.network import Network
from charrnn_core.network.program import Program
from charrnn_core.randomness import random_key
from charrnn_core.sampling.chain import Chain
from charrnn_core.sampling.draw import Places, by_rows
from charrnn_core.serving.shaping import Shaping, shaped

DRAW = -1
"""In place of a symbol that is to be read: one is to be drawn."""

TOP = 5
"""How many of the likeliest symbols are told of."""


class Turn(NamedTuple):
    """What the slots do in one call, as arrays.

    Fields:
        ids: int32[K,B], what each reads; `DRAW` where it draws.
        begins: bool[B], whether a request begins: its slot forgets all that was before.
        keys: uint32[B,2,2], the keys of the draws and of the samplers; see `keys_of`.
        rows: int32[B], which of the samples of its request it is.
        how: what each draws from.
    """

    ids: Any
    begins: Any
    keys: Any
    rows: Any
    how: Shaping

    @classmethod
    def idle(cls, steps: int, slots: int) -> "Turn":
        """Return a turn in which every slot reads the first symbol."""
        zeros, ones = np.zeros(slots, np.float32), np.ones(slots, np.float32)
        how = Shaping(np.zeros(slots, bool), ones, zeros.astype(np.int32), ones.copy(), zeros)
        return cls(
            np.zeros((steps, slots), np.int32),
            np.zeros(slots, bool),
            np.zeros((slots, 2, 2), np.uint32),
            np.zeros(slots, np.int32),
            how,
        )


class Told(NamedTuple):
    """What the slots have read and written in a call.

    Fields:
        ids: int32[K,B]; -1 where nothing could be drawn.
        model: float32[K,B], the log-probability of each id under the model; this and what follows
            are None unless requested.
        sampler: float32[K,B], that under the distribution it was drawn from.
        top_ids, top_log_p: [K,B,5], the likeliest symbols.
    """

    ids: Any
    model: Any = None
    sampler: Any = None
    top_ids: Any = None
    top_log_p: Any = None


class _State(NamedTuple):
    carry: Tree
    logits: Logits
    memory: Tree
    drawn: Array


def keys_of(seed: int) -> npt.NDArray[np.uint32]:
    """Return the keys with which `charrnn_core.sampling.draw.Drawer` draws: ``uint32[2,2]``."""
    return np.asarray(jax.random.key_data(jax.random.split(random_key(seed, "sample"))))


class Slots:
    """Streams that read and write side by side: ``turn -> told``, compiled once.

    What a slot writes follows from its symbols, its keys and its row: it is drawn with the noise
    with which `charrnn_core.sampling.draw.Drawer` draws, whatever the other slots do.

    Arguments:
        network, params: those of a model.
        chain: samplers bound to the model; each slot has a state of its own.
        count: B, the number of slots.
    """

    def __init__(self, network: Network, params: Params, chain: Chain, count: int) -> None:
        self.count = count
        self._places = Places(count)
        self._params = jax.device_put(params, self._places.everywhere)
        rows = _Rows(network, chain, self._places)
        self._begin = Program(rows.begin, static=["count"])
        self._advance = Program(rows.advance, static=["scored"])
        self._state = self._begin(self._params, count=count)
        self._before: dict[int, tuple[npt.NDArray[Any], Array]] = {}

    def __call__(self, turn: Turn, scored: bool = False) -> Told:
        """Take a turn, and return what came of it, as arrays that may still be computed.

        Arguments:
            scored: whether to tell of log-probabilities.
        """
        turn = self._placed(turn)
        self._state, told = self._advance(self._params, self._state, turn, scored=scored)
        return told

    def _placed(self, turn: Turn) -> Turn:
        """Return a turn on the devices, where what is as in the turn before lies already."""
        leaves, structure = jax.tree.flatten(turn)
        places = [self._places.by_column, *[self._places.by_row] * (len(leaves) - 1)]
        for index, (leaf, place) in enumerate(zip(leaves, places, strict=True)):
            if index not in self._before or not np.array_equal(leaf, self._before[index][0]):
                leaf = leaf.copy()
                self._before[index] = leaf, jax.device_put(leaf, place)
        return jax.tree.unflatten(structure, [self._before[i][1] for i in range(len(leaves))])

    def reset(self) -> None:
        """Begin afresh, after a failure."""
        self._state = self._begin(self._params, count=self.count)


@dataclass(frozen=True)
class _Rows:
    """What the slots do on the device."""

    network: Network
    chain: Chain
    places: Places

    def begin(self, params: Params, *, count: int) -> _State:
        return by_rows(self._fresh(params, count), count, self.places.mesh)

    def _fresh(self, params: Params, count: int) -> _State:
        logits = jnp.zeros((count, self.network.symbols))
        carry = self.network.initial_carry(params, count)
        return _State(carry, logits, self.chain.init(count), jnp.zeros(count, jnp.int32))

    def advance(
        self, params: Params, state: _State, turn: Turn, *, scored: bool
    ) -> tuple[_State, Told]:
        # Each device has slots of its own and never waits for another: with an exchange between
        # them, calls that are in flight at the same time, as of two models, may wait for ever.
        by_row, by_column = PartitionSpec("data"), PartitionSpec(None, "data")
        turn_lies = Turn(by_column, by_row, by_row, by_row, Shaping(*[by_row] * len(turn.how)))
        on_each = jax.shard_map(
            partial(self._advance, scored=scored),
            mesh=self.places.mesh,
            in_specs=(PartitionSpec(), by_row, turn_lies),
            out_specs=(by_row, by_column),
            check_vma=False,  # loops of samplers start from constants
        )
        return on_each(params, state, turn)

    def _advance(
        self, params: Params, state: _State, turn: Turn, *, scored: bool
    ) -> tuple[_State, Told]:
        count, symbols = state.logits.shape
        state = restart(turn.begins, state, self._fresh(params, count))
        step = self.network.stepper(params, state.carry, count)
        draws = (turn.ids < 0).astype(jnp.int32)
        places = state.drawn[None] + jnp.cumsum(draws, axis=0) - draws
        own_wanted = jnp.any(turn.how.own)
        noise_keys, own_keys = (jax.random.wrap_key_data(turn.keys[:, i]) for i in (0, 1))
        fold = jax.vmap(jax.random.fold_in)

        def noise_at(place: Array) -> Array:
            keys = fold(fold(noise_keys, place), turn.rows)
            return jax.vmap(lambda key: jax.random.gumbel(key, (symbols,)))(keys)

        def character(state: _State, item: Tree) -> tuple[_State, Told]:
            ids, place, noise = item
            chained, memory = self._chained(fold(own_keys, place), state)
            own = jax.lax.cond(own_wanted, lambda: shaped(state.logits, turn.how), lambda: chained)
            of_slot = jnp.where(turn.how.own[:, None], own, chained)
            noisy = of_slot + noise
            best = jnp.argmax(noisy, axis=-1).astype(jnp.int32)
            possible = _at(noisy, best) > -jnp.inf  # also false for NaN
            known = jnp.where(ids < 0, jnp.where(possible, best, 0), ids)
            told = Told(jnp.where((ids < 0) & ~possible, -1, known))
            if scored:
                log_p = jax.nn.log_softmax(state.logits)
                drawn_from = _at(jax.nn.log_softmax(of_slot), known)
                top_log_p, top_ids = jax.lax.top_k(log_p, min(TOP, symbols))
                told = Told(told.ids, _at(log_p, known), drawn_from, top_ids, top_log_p)
            memory = self.chain.observe(memory, known)
            logits, carry = step(state.carry, known)
            return _State(carry, logits, memory, state.drawn + (ids < 0).astype(jnp.int32)), told

        items = turn.ids, places, jax.vmap(noise_at)(places)
        return jax.lax.scan(character, state, items)

    def _chained(self, keys: Array, state: _State) -> tuple[Logits, Tree]:
        """Shape every slot with the chain as if it were alone."""

        def alone(key: Array, logits: Logits, memory: Tree) -> tuple[Logits, Tree]:
            one = jax.tree.map(lambda leaf: leaf[None], (logits, memory))
            return jax.tree.map(lambda leaf: leaf[0], self.chain(key, *one))

        return jax.vmap(alone)(keys, state.logits, state.memory)


def _at(values: Array, ids: Array) -> Array:
    """Return ``values: [B,V]`` at ``ids: [B]``."""
    return jnp.take_along_axis(values, ids[:, None], axis=-1)[:, 0]
