"""Sampling: read a prompt, then generate on the device, many characters per call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.blame import Call, a_pair, outlined
from charrnn_core.cell import Params
from charrnn_core.errors import SamplingError
from charrnn_core.network.mesh import data_mesh, fitting_shards
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import form
from charrnn_core.public import public
from charrnn_core.text.alphabet import Alphabet, Ids

_MOST_PER_CALL = 512
_ROWS_PER_CALL = 2**13
_MOST = 2**31 - 1
"""The longest sample: positions are counted in int32."""

SamplerFunction = Callable[[jax.Array, jax.Array, Any], tuple[jax.Array, Any]]


@public
@dataclass(frozen=True)
class SamplerContext:
    """What a sampler can know of the model, passed to its ``bind(context)``.

    Arguments:
        alphabet: the model's symbols.
        training_ids: returns the ids of the training text, which is read when this is called.
    """

    alphabet: Alphabet
    training_ids: Callable[[], Ids]


class Chain:
    """Samplers applied in sequence: each shapes the distribution that the next one gets.

    Samplers with a true attribute ``constraint`` run first, wherever they stand, so that they can
    never forbid everything that the others have left.

    Arguments:
        samplers: ``(key, logits, state) -> (logits, state)``, optionally with ``init(batch)``,
            ``observe(state, ids)``, ``bind(context)``; see `charrnn_core.SamplerPlugin`.

    >>> double = lambda key, logits, state: (2 * logits, state)
    >>> logits, _ = Chain([double, double])(jax.random.key(0), jnp.ones((1, 2)), (None, None))
    >>> logits.tolist()
    [[4.0, 4.0]]
    """

    def __init__(self, samplers: Sequence[SamplerFunction]) -> None:
        self.samplers = tuple(
            sorted(samplers, key=lambda sampler: not getattr(sampler, "constraint", False))
        )

    def bind(self, context: SamplerContext) -> "Chain":
        """Return the chain with the context passed to every sampler that has ``bind``."""
        return Chain([_bound(sampler, context) for sampler in self.samplers])

    def init(self, batch: int) -> tuple[Any, ...]:
        """Return the initial state of every sampler; None for a stateless one."""
        return tuple(_begin(sampler, batch) for sampler in self.samplers)

    def __call__(
        self, key: jax.Array, logits: jax.Array, states: tuple[Any, ...]
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        after = []
        for i, (sampler, state) in enumerate(zip(self.samplers, states, strict=True)):
            logits, state = _shape(sampler, jax.random.fold_in(key, i), logits, state)
            after.append(state)
        return logits, tuple(after)

    def tried(self, symbols: int) -> "Chain":
        """Trace the chain once and return it, so that a bad sampler fails before the training.

        Raises:
            PluginError: the code of a sampler fails, or returns wrong shapes.
        """
        jax.eval_shape(lambda: self(jax.random.key(0), jnp.zeros((1, symbols)), self.init(1)))
        return self

    def observe(self, states: tuple[Any, ...], ids: jax.Array) -> tuple[Any, ...]:
        """Return the states after ``ids: int32[B]``, the next character of every stream."""
        pairs = zip(self.samplers, states, strict=True)
        return tuple(_observe(sampler, state, ids) for sampler, state in pairs)

    def observe_all(self, states: tuple[Any, ...], ids: jax.Array) -> tuple[Any, ...]:
        """Return the states after ``ids: int32[T,B]``."""
        if not any(hasattr(sampler, "observe") for sampler in self.samplers):
            return states
        return jax.lax.scan(lambda states, ids: (self.observe(states, ids), None), states, ids)[0]


_MUST = "it must return (logits, state), both in the shapes it got"


def _method(sampler: Any, name: str, must: str, got: Mapping[str, Any] | None = None) -> Call:
    return Call(f"{name} of a sampler", getattr(sampler, name), must, got)


def _bound(sampler: Any, context: SamplerContext) -> SamplerFunction:
    if not hasattr(sampler, "bind"):
        return sampler
    with _method(sampler, "bind", "bind(context) must return a sampler"):
        return sampler.bind(context)


def _begin(sampler: Any, batch: int) -> Any:
    if not hasattr(sampler, "init"):
        return None
    with _method(sampler, "init", "init(batch) must return its first state"):
        return sampler.init(batch)


def _shape(sampler: Any, key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any]:
    call = Call("a sampler", sampler, _MUST, {"logits": logits, "state": state})
    with call:
        result = sampler(key, logits, state)
    if not a_pair(result):
        raise call.fault(f"returns {outlined(result)}")
    shaped, after = result
    if jnp.shape(shaped) != logits.shape or form(after) != form(state):
        raise call.fault(f"returns {outlined((shaped, after))}")
    return shaped, after


def _observe(sampler: Any, state: Any, ids: jax.Array) -> Any:
    if not hasattr(sampler, "observe"):
        return state
    must = "observe(state, ids) must return its state, in the shapes it got"
    call = _method(sampler, "observe", must, {"state": state, "ids": ids})
    with call:
        after = sampler.observe(state, ids)
    if form(after) != form(state):
        raise call.fault(f"returns {outlined(after)}")
    return after


def encode_prompt(
    alphabet: Alphabet, prompt: str, unknown: str = "error", separator: tuple[int, ...] = ()
) -> Ids:
    """Return the ids of a prompt; an empty one stands for the beginning of a line.

    The beginning of a line is a line feed, or the first symbol of an alphabet without line feeds.

    Arguments:
        alphabet: the model's symbols.
        prompt: the text.
        unknown: what to do with characters outside the alphabet: ``"error"`` or ``"skip"``.
        separator: the ids that end a document. A prompt begins a document, so the last of these ids
            goes before it, as in training.

    Raises:
        UnknownSymbolError: the prompt has characters the alphabet lacks, and `unknown` is "error".

    >>> encode_prompt(Alphabet("ab"), "").tolist()
    [0]
    >>> encode_prompt(Alphabet("#ab"), "ba", separator=(0, 0)).tolist()
    [0, 2, 1]
    """
    before = np.array(separator[-1:], np.int32)
    ids = np.concatenate([before, alphabet.encode(prompt, unknown)])
    if len(ids):
        return ids
    return alphabet.encode("\n" if "\n" in alphabet.symbols else alphabet.symbols[0])


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


class Draw(Protocol):
    """The function that `make_drawer` returns; a `length` of None means 2**31 - 1 characters."""

    def __call__(
        self, params: Params, prompt: Ids, length: int | None, key: jax.Array, batch: int = 1
    ) -> Iterator[Drawn]: ...


class Generate(Protocol):
    """The function that `make_generator` returns; it yields ids in pieces, each int32[K,B]."""

    def __call__(
        self, params: Params, prompt: Ids, length: int | None, key: jax.Array, batch: int = 1
    ) -> Iterator[npt.NDArray[np.int32]]: ...


def make_generator(network: Network, sampler: Chain) -> Generate:
    """Compile a function that continues a prompt: ``(params, prompt, length) -> pieces of ids``.

    Like `make_drawer`, without log-probabilities.
    """
    draw = make_drawer(network, sampler)

    def generate(
        params: Params, prompt: Ids, length: int | None, key: jax.Array, batch: int = 1
    ) -> Iterator[npt.NDArray[np.int32]]:
        return (drawn.ids for drawn in draw(params, prompt, length, key, batch))

    return generate


def make_drawer(network: Network, sampler: Chain, scored: bool = False) -> Draw:
    """Compile a function that continues a prompt: ``(params, prompt, length) -> pieces``.

    The character at position n of row r is drawn with Gumbel noise from a key made of `key`,
    n and r alone, so neither the piece size nor the number of rows changes what is written.

    Arguments:
        network: the network that writes.
        sampler: a chain, bound to its context. It observes the prompt, then every character drawn.
        scored: whether to return the log-probability of every character.

    Raises (the function):
        SamplingError: the sampler left no symbol, or the model's output is not finite; everything
            drawn before has been yielded.
    """

    @jax.jit
    def read(params: Params, prompt: jax.Array, memory: Any) -> Any:
        carry = network.initial_carry(params, prompt.shape[1])
        logits, carry = network.unroll(params, carry, prompt)
        return carry, logits[-1], sampler.observe_all(memory, prompt)

    @partial(jax.jit, static_argnames="count")
    def write(params: Params, state: Any, key: jax.Array, start: jax.Array, count: int) -> Any:
        rows, symbols = state[1].shape
        draw_key, sampler_key = jax.random.split(key)
        positions = start + jnp.arange(count)

        def noise_at(position: jax.Array) -> jax.Array:
            at = jax.random.fold_in(draw_key, position)
            row_keys = jax.vmap(lambda row: jax.random.fold_in(at, row))(jnp.arange(rows))
            return jax.vmap(lambda row_key: jax.random.gumbel(row_key, (symbols,)))(row_keys)

        step = network.stepper(params, state[0], rows)

        def character(state: Any, item: Any) -> Any:
            carry, logits, memory = state
            own_key, noise = item
            shaped, memory = sampler(own_key, logits, memory)
            noisy = shaped + noise
            ids = jnp.argmax(noisy, axis=-1).astype(jnp.int32)
            possible = _at(noisy, ids) > -jnp.inf  # also false for NaN
            drawn = Drawn(jnp.where(possible, ids, -1), *_log_p(logits, shaped, ids, scored))
            memory = sampler.observe(memory, ids)
            logits, carry = step(carry, ids)
            return (carry, logits, memory), drawn

        keys = jax.vmap(lambda position: jax.random.fold_in(sampler_key, position))(positions)
        return jax.lax.scan(character, state, (keys, jax.vmap(noise_at)(positions)))

    def draw(
        params: Params, prompt: Ids, length: int | None, key: jax.Array, batch: int = 1
    ) -> Iterator[Drawn]:
        mesh = data_mesh(fitting_shards(batch, len(jax.devices())))
        everywhere, by_row = (NamedSharding(mesh, PartitionSpec(*p)) for p in ((), (None, "data")))
        params, key = jax.device_put((params, key), everywhere)
        prompts = jax.device_put(np.repeat(prompt[:, None], batch, axis=1), by_row)
        state = read(params, prompts, sampler.init(batch))
        length = _MOST if length is None else length
        count = max(1, min(_MOST_PER_CALL, _ROWS_PER_CALL // batch, length))
        for start in range(0, length, count):
            state, drawn = write(params, state, key, jnp.int32(start), count)
            yield from _possible(jax.device_get(drawn).part(slice(length - start)), start)

    return draw


def _at(values: jax.Array, ids: jax.Array) -> jax.Array:
    """Return ``values: [B,V]`` at ``ids: [B]``."""
    return jnp.take_along_axis(values, ids[:, None], axis=-1)[:, 0]


def _log_p(model: jax.Array, shaped: jax.Array, ids: jax.Array, scored: bool) -> tuple[Any, ...]:
    """Return the log-probabilities of the ids under both distributions, if requested."""
    both = (model, shaped) if scored else ()
    return tuple(_at(jax.nn.log_softmax(logits), ids) for logits in both)


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
