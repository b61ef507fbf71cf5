"""Sampling: read a prompt, then generate on the device, many characters per call."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.alphabet import Alphabet, Ids
from charrnn_core.cell import Params
from charrnn_core.mesh import data_mesh, fitting_shards
from charrnn_core.network import Network

_MOST_PER_CALL = 512
_ROWS_PER_CALL = 2**13

SamplerFunction = Callable[[jax.Array, jax.Array, Any], tuple[jax.Array, Any]]


class Chain:
    """Samplers applied one after the other: each shapes the distribution the next one gets.

    Arguments:
        samplers: ``(key, logits, state) -> (logits, state)``, perhaps with ``init(batch)``.

    >>> double = lambda key, logits, state: (2 * logits, state)
    >>> logits, _ = Chain([double, double])(jax.random.key(0), jnp.ones((1, 2)), (None, None))
    >>> logits.tolist()
    [[4.0, 4.0]]
    """

    def __init__(self, samplers: Sequence[SamplerFunction]) -> None:
        self.samplers = tuple(samplers)

    def init(self, batch: int) -> tuple[Any, ...]:
        """The state of every sampler; None for one that does not remember."""
        inits = [getattr(sampler, "init", None) for sampler in self.samplers]
        return tuple(init(batch) if init is not None else None for init in inits)

    def __call__(
        self, key: jax.Array, logits: jax.Array, states: tuple[Any, ...]
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        after = []
        for i, (sampler, state) in enumerate(zip(self.samplers, states, strict=True)):
            logits, state = sampler(jax.random.fold_in(key, i), logits, state)
            after.append(state)
        return logits, tuple(after)


def encode_prompt(alphabet: Alphabet, prompt: str, unknown: str = "error") -> Ids:
    """The prompt in ids; an empty one stands for the beginning of a line.

    That is a line's end, or the first symbol of an alphabet without one.

    Raises:
        UnknownSymbolError: the prompt has characters the alphabet lacks, and `unknown` is "error".

    >>> encode_prompt(Alphabet("ab"), "").tolist()
    [0]
    """
    ids = alphabet.encode(prompt, unknown)
    if len(ids):
        return ids
    return alphabet.encode("\n" if "\n" in alphabet.symbols else alphabet.symbols[0])


class Generate(Protocol):
    """What `make_generator` gives: ids in pieces, each int32[K,B]."""

    def __call__(
        self, params: Params, prompt: Ids, length: int, key: jax.Array, batch: int = 1
    ) -> Iterator[npt.NDArray[np.int32]]: ...


def make_generator(network: Network, sampler: Chain) -> Generate:
    """Compile a function that continues a prompt: ``(params, prompt, length) -> pieces of ids``.

    The character at position n of row r is drawn with Gumbel noise from a key made of `key`,
    n and r alone, so neither the piece size nor the number of rows changes what is written.
    """

    @jax.jit
    def read(params: Params, prompt: jax.Array) -> Any:
        carry = network.initial_carry(params, prompt.shape[1])
        logits, carry = network.unroll(params, carry, prompt)
        return carry, logits[-1]

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
            logits, memory = sampler(own_key, logits, memory)
            ids = jnp.argmax(logits + noise, axis=-1).astype(jnp.int32)
            logits, carry = step(carry, ids)
            return (carry, logits, memory), ids

        keys = jax.vmap(lambda position: jax.random.fold_in(sampler_key, position))(positions)
        return jax.lax.scan(character, state, (keys, jax.vmap(noise_at)(positions)))

    def generate(
        params: Params, prompt: Ids, length: int, key: jax.Array, batch: int = 1
    ) -> Iterator[npt.NDArray[np.int32]]:
        mesh = data_mesh(fitting_shards(batch, len(jax.devices())))
        everywhere, by_row = (NamedSharding(mesh, PartitionSpec(*p)) for p in ((), (None, "data")))
        params, key = jax.device_put((params, key), everywhere)
        prompts = jax.device_put(np.repeat(prompt[:, None], batch, axis=1), by_row)
        state = (*read(params, prompts), sampler.init(batch))
        count = max(1, min(_MOST_PER_CALL, _ROWS_PER_CALL // batch, length))
        for start in range(0, length, count):
            state, ids = write(params, state, key, jnp.int32(start), count)
            yield np.asarray(ids)[: length - start]

    return generate
