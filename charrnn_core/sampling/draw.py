"""Sampling: read a prompt, then generate on the device, many characters per call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from charrnn_core.arrays import Key, Logits, Tree
from charrnn_core.cell import Params
from charrnn_core.errors import SamplingError
from charrnn_core.network.mesh import fitting_shards, own_mesh
from charrnn_core.network.network import Network
from charrnn_core.network.program import Program, placed_shapes
from charrnn_core.sampling.chain import Chain
from charrnn_core.sampling.prompt import read_in_pieces
from charrnn_core.text.alphabet import Ids

_MOST_PER_CALL = 512
_ROWS_PER_CALL = 2**13
_SHORT = 64
"""What a call writes is a multiple of this, or of the most per call if that is not enough."""

_MOST = 2**31 - 1
"""The longest sample: positions are counted in int32."""


class Drawn(NamedTuple):
    """K characters of B streams, and their log-probabilities in nats.

    Arguments:
        ids: int32[K,B].
        model: float32[K,B], the log-probability under the model; None unless requested.
        sampler: float32[K,B], the log-probability under the distribution drawn from; or None.
    """

    ids: Any
    model: Any = None
    sampler: Any = None

    def part(self, *index: Any) -> "Drawn":
        """Select some of the characters, or of the streams.

        >>> Drawn(np.array([[1, 2], [3, 4]])).part(slice(1)).ids.tolist()
        [[1, 2]]
        """
        return Drawn(*(None if leaf is None else leaf[index] for leaf in self))


class Drawer:
    """Continues prompts: ``(params, prompt, length, key) -> pieces``, compiled once.

    The character at position n of row r is drawn with Gumbel noise from a key made of `key`,
    n and r alone, so neither the piece size nor the number of rows changes what is written. Rows
    with prompts of their own have the noise of row 0, so that each is what it would be alone.

    The programs are kept with the drawer: one for each of the few lengths that prompts are padded
    to, one that writes up to 512 characters, and one that writes more; for each number of rows.

    Arguments:
        network: the network that writes.
        sampler: a chain, bound to its context. It observes the prompt, then every character drawn.
        scored: whether to return the log-probability of every character.
    """

    def __init__(self, network: Network, sampler: Chain, scored: bool = False) -> None:
        rows = _Rows(network, sampler, scored)
        self._read = Program(rows.read, static=["mesh"])
        self._write = Program(rows.write, static=["mesh", "apart", "size"])

    def __call__(
        self,
        params: Params,
        prompt: Ids | Sequence[Ids],
        length: int | None,
        key: Key,
        batch: int = 1,
    ) -> Iterator[Drawn]:
        """Yield what is drawn, in pieces.

        Arguments:
            params: the network's parameters.
            prompt: the ids that every row continues; or a list of such, one for each row.
            length: characters to draw; None means 2**31 - 1.
            key: decides, with the position and the row, on all noise.
            batch: the number of rows, if they continue the same prompt.

        Raises:
            SamplingError: the sampler left no symbol, or the model's output is not finite;
                everything drawn before has been yielded.
        """
        apart = not isinstance(prompt, np.ndarray)
        prompts = prompt if apart else [prompt] * batch
        places = Places(len(prompts))
        params, key = jax.device_put((params, key), places.everywhere)
        state = None
        for ids, begins in read_in_pieces(prompts):
            ids, begins = jax.device_put((ids, begins), (places.by_column, places.by_row))
            state = self._read(params, state, ids, begins, mesh=places.mesh)
        length = _MOST if length is None else length
        room = _room(len(prompts))
        size = _size(length, room)
        for start in range(0, length, room):
            wanted = min(room, length - start)
            args = params, state, key, np.int32(start), np.int32(-(-wanted // size))
            state, drawn = self._write(*args, mesh=places.mesh, apart=apart, size=size)
            yield from _possible(jax.device_get(drawn).part(slice(wanted)), start)

    def ahead(
        self,
        params: Params,
        prompt_length: int,
        length: int | None,
        batch: int = 1,
        *,
        apart: bool = False,
    ) -> None:
        """Compile what a call will need, in any thread, before it is needed.

        Arguments:
            params: the parameters, or their shapes.
            prompt_length: the length of the longest prompt, in ids.
            length: characters to draw; None means 2**31 - 1.
            batch: the number of rows.
            apart: whether the rows continue prompts of their own.
        """
        places = Places(batch)
        params, key = placed_shapes((params, jax.eval_shape(_any_key)), places.everywhere)
        state = None
        for ids, begins in read_in_pieces([np.zeros(prompt_length, np.int32)] * batch)[:2]:
            ids, begins = placed_shapes(ids, places.by_column), placed_shapes(begins, places.by_row)
            state = self._read.ahead(params, state, ids, begins, mesh=places.mesh)
        size = _size(length, _room(batch))
        args = params, state, key, np.int32(0), np.int32(0)
        self._write.ahead(*args, mesh=places.mesh, apart=apart, size=size)


@dataclass(frozen=True)
class _Rows:
    """What a drawer does on the device; the arguments are those of the drawer."""

    network: Network
    sampler: Chain
    scored: bool

    def read(
        self, params: Params, state: Tree | None, ids: Any, begins: Any, *, mesh: Mesh
    ) -> Tree:
        """Return the carry, the logits and the samplers' states after a piece of the prompts.

        Each row starts afresh where its prompt begins, so what stands before has no effect.
        """
        rows, steps = ids.shape[1], jnp.broadcast_to(jnp.arange(len(ids))[:, None], ids.shape)
        begins = jnp.broadcast_to(begins, ids.shape)
        if state is None:
            carry, memory = self.network.initial_carry(params, rows), self.sampler.init(rows)
        else:
            carry, _, memory = state
        logits, carry = self.network.unroll(params, carry, ids, steps == begins)
        memory = self.sampler.observe_all(memory, ids, steps >= begins)
        return by_rows((carry, logits[-1], memory), rows, mesh)

    def write(
        self,
        params: Params,
        state: Tree,
        key: Key,
        start: Any,
        times: Any,
        *,
        mesh: Mesh,
        apart: bool,
        size: int,
    ) -> tuple[Tree, Drawn]:
        """Write `times` times as many characters as `size`, and zeros in the rest of the room."""
        rows, symbols = state[1].shape
        room = _room(rows) // size * size
        draw_key, sampler_key = jax.random.split(key)
        numbers = jnp.zeros(rows, jnp.int32) if apart else jnp.arange(rows)
        shape = self.sampler.row_by_row if apart else self.sampler
        step = self.network.stepper(params, state[0], rows)

        def noise_at(position: Any) -> Any:
            at = jax.random.fold_in(draw_key, position)
            row_keys = jax.vmap(lambda row: jax.random.fold_in(at, row))(numbers)
            return jax.vmap(lambda row_key: jax.random.gumbel(row_key, (symbols,)))(row_keys)

        def character(state: Tree, item: Any) -> tuple[Tree, Drawn]:
            carry, logits, memory = state
            own_key, noise = item
            shaped, memory = shape(own_key, logits, memory)
            noisy = shaped + noise
            ids = jnp.argmax(noisy, axis=-1).astype(jnp.int32)
            possible = _at(noisy, ids) > -jnp.inf  # also false for NaN
            drawn = Drawn(jnp.where(possible, ids, -1), *self._log_p(logits, shaped, ids))
            memory = self.sampler.observe(memory, ids)
            logits, carry = step(carry, ids)
            return (carry, logits, memory), drawn

        def some(i: Any, done: tuple[Tree, Drawn]) -> tuple[Tree, Drawn]:
            state, written = done
            positions = start + i * size + jnp.arange(size)
            keys = jax.vmap(lambda position: jax.random.fold_in(sampler_key, position))(positions)
            items = keys, jax.vmap(noise_at)(positions)
            state, drawn = jax.lax.scan(character, state, items)
            put = partial(jax.lax.dynamic_update_slice_in_dim, start_index=i * size, axis=0)
            return state, jax.tree.map(put, written, drawn)

        scores = [jnp.zeros((room, rows))] * 2 if self.scored else []
        empty = Drawn(jnp.zeros((room, rows), jnp.int32), *scores)
        state, drawn = jax.lax.fori_loop(0, times, some, (state, empty))
        return by_rows(state, rows, mesh), drawn

    def _log_p(self, model: Logits, shaped: Logits, ids: Any) -> tuple[Any, ...]:
        """Return the log-probabilities of the ids under both distributions, if requested."""
        both = (model, shaped) if self.scored else ()
        return tuple(_at(jax.nn.log_softmax(logits), ids) for logits in both)


class Generator:
    """Like `Drawer`, without log-probabilities: it yields ids in pieces, each int32[K,B]."""

    def __init__(self, network: Network, sampler: Chain) -> None:
        self._draw = Drawer(network, sampler)
        self.ahead = self._draw.ahead

    def __call__(
        self,
        params: Params,
        prompt: Ids | Sequence[Ids],
        length: int | None,
        key: Key,
        batch: int = 1,
    ) -> Iterator[npt.NDArray[np.int32]]:
        """Yield ids; the arguments are those of a `Drawer`."""
        return (drawn.ids for drawn in self._draw(params, prompt, length, key, batch))


class Places:
    """Where arrays lie while `rows` rows are written: the rows are shared among devices."""

    def __init__(self, rows: int) -> None:
        self.mesh = own_mesh(fitting_shards(rows, len(jax.local_devices())))
        self.everywhere, self.by_row, self.by_column = (
            NamedSharding(self.mesh, PartitionSpec(*axes))
            for axes in ((), ("data",), (None, "data"))
        )


def by_rows(tree: Tree, rows: int, mesh: Mesh) -> Tree:
    """Share the rows of every leaf among the devices, so that one call's result fits the next."""

    def place(leaf: Any) -> Any:
        by = ("data",) if leaf.shape[:1] == (rows,) else ()
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, PartitionSpec(*by)))

    return jax.tree.map(place, tree)


def _room(rows: int) -> int:
    """Return how many characters a call can write."""
    return max(1, min(_MOST_PER_CALL, _ROWS_PER_CALL // rows))


def _size(length: int | None, room: int) -> int:
    """Return how many characters are written at a time: few, if one call is enough for all."""
    return _SHORT if length is not None and length <= room // _SHORT * _SHORT else room


def _any_key() -> Key:
    return jax.random.key(0)


def _at(values: Any, ids: Any) -> Any:
    """Return ``values: [B,V]`` at ``ids: [B]``."""
    return jnp.take_along_axis(values, ids[:, None], axis=-1)[:, 0]


def _possible(piece: Drawn, start: int) -> Iterator[Drawn]:
    """Yield the piece; if a draw in it is impossible, yield what comes before it and raise."""
    stuck, rows = np.nonzero(piece.ids < 0)
    if not len(stuck):
        yield piece
        return
    yield piece.part(slice(stuck[0]))
    raise SamplingError(
        f"cannot draw symbol {start + stuck[0] + 1} of sample {rows[0] + 1}: the sampler forbids "
        "every symbol there, or the model's output is not finite; use another sampler, or looser "
        "options for this one"
    )
