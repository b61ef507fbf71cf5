"""Samplers that keep some symbols and give the others probability 0.

Each takes ``logits: float[B,V]`` and returns them with minus infinity for the symbols it drops; the
probabilities of the others keep their proportions. A dropped symbol stays dropped, and at least one
symbol is always kept. Among symbols of equal probability the first one counts as more likely.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.sampling.fewest import fewest

Sampler = Callable[[Any, jax.Array, None], tuple[jax.Array, None]]


def greedy(options: Any = None) -> Sampler:
    """Return a sampler that keeps only the most likely symbol.

    >>> greedy()(None, jnp.array([[1.0, 3.0, 3.0]]), None)[0].tolist()
    [[-inf, 3.0, -inf]]
    """
    return _keeping(
        lambda logits: jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=bool)
    )


def top_k(options: Any) -> Sampler:
    """Return a sampler that keeps the k most likely symbols; a k of V or more changes nothing.

    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation, 2018, arXiv 1805.04833.

    >>> from types import SimpleNamespace
    >>> top_k(SimpleNamespace(k=2))(None, jnp.array([[1.0, 3.0, 2.0, 2.0]]), None)[0].tolist()
    [[-inf, 3.0, 2.0, -inf]]
    """

    def kept(logits: jax.Array) -> jax.Array:
        most = min(options.k, logits.shape[-1])
        return fewest(-logits, jnp.ones(logits.shape, jnp.int32), most)

    return _keeping(kept)


def top_p(options: Any) -> Sampler:
    """Return a sampler that keeps the fewest most likely symbols whose probabilities sum to p.

    A p of 1 changes nothing.

    Source: Holtzman et al., The Curious Case of Neural Text Degeneration, 2019, arXiv 1904.09751.

    >>> from types import SimpleNamespace
    >>> logits = jnp.log(jnp.array([[0.2, 0.5, 0.3]]))
    >>> jnp.exp(top_p(SimpleNamespace(p=0.6))(None, logits, None)[0]).round(1).tolist()
    [[0.0, 0.5, 0.300...]]
    """
    return _keeping(lambda logits: _reaching(options.p, logits, -logits))


def min_p(options: Any) -> Sampler:
    """Return a sampler that keeps the symbols at least p times as likely as the most likely one.

    Symbols of equal probability are kept or dropped together.
    Source: Nguyen et al., Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM
    Outputs, 2024, arXiv 2407.01082.

    >>> from types import SimpleNamespace
    >>> logits = jnp.log(jnp.array([[0.1, 0.6, 0.3]]))
    >>> jnp.isfinite(min_p(SimpleNamespace(p=0.4))(None, logits, None)[0]).tolist()
    [[False, True, True]]
    """
    relative = math.log(options.p) if options.p else -math.inf
    return _keeping(lambda o: o >= jnp.max(o, axis=-1, keepdims=True) + relative)


def typical(options: Any) -> Sampler:
    """Return a sampler that keeps the fewest symbols with typical surprise that sum to p.

    Symbols are kept in order of ``|-log p_i - H|``, where ``H = -sum p_i log p_i`` is the entropy,
    until their probabilities sum to p or more. The most likely symbol may be dropped. A p of 1
    changes nothing.

    Source: Meister et al., Locally Typical Sampling, 2022, arXiv 2202.00666.

    >>> from types import SimpleNamespace
    >>> logits = jnp.log(jnp.array([[0.4, 0.2, 0.2, 0.1, 0.1]]))
    >>> jnp.isfinite(typical(SimpleNamespace(p=0.3))(None, logits, None)[0]).tolist()
    [[False, True, True, False, False]]
    """

    def kept(logits: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(logits)
        p = jnp.exp(log_p)
        # xlogy(p, p) is p log p, and 0 for the symbols with p = 0.
        entropy = -jnp.sum(jax.scipy.special.xlogy(p, p), axis=-1, keepdims=True)
        return _reaching(options.p, logits, jnp.abs(-log_p - entropy))

    return _keeping(kept)


def _keeping(kept: Callable[[jax.Array], jax.Array]) -> Sampler:
    """Return the sampler that keeps the symbols where ``kept(logits): bool[B,V]`` is true."""

    def sampler(key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None]:
        del key  # the core draws
        return jnp.where(kept(logits), logits, -jnp.inf), state

    return sampler


def _reaching(p: float, logits: jax.Array, order: jax.Array) -> jax.Array:
    """Return the fewest symbols, by ascending ``order: float[B,V]``, that are as likely as p."""
    if p >= 1:
        return jnp.ones(logits.shape, bool)
    return fewest(order, jax.nn.softmax(logits), max(p, float(jnp.finfo(logits.dtype).tiny)))
