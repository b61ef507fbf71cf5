"""Samplers that leave some symbols possible and give each of the others probability 0.

Each takes ``logits: float[B,V]`` and gives them back with minus infinity at what it leaves out; the
probabilities of what stays keep their proportions. A symbol with minus infinity never comes back,
and at least one symbol stays possible.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Sampler = Callable[[Any, jax.Array, None], tuple[jax.Array, None]]


def greedy(options: Any = None) -> Sampler:
    """The likeliest symbol has all the probability; of equals the first.

    >>> greedy()(None, jnp.array([[1.0, 3.0, 3.0]]), None)[0].tolist()
    [[-inf, 3.0, -inf]]
    """
    return _keeping(lambda logits: _is_one_of(jnp.argmax(logits, axis=-1)[..., None], logits))


def top_k(options: Any) -> Sampler:
    """The k likeliest symbols stay, of equals the first; a k of V or more changes nothing.

    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation, 2018, arXiv 1805.04833.

    >>> from types import SimpleNamespace
    >>> top_k(SimpleNamespace(k=2))(None, jnp.array([[1.0, 3.0, 2.0, 2.0]]), None)[0].tolist()
    [[-inf, 3.0, 2.0, -inf]]
    """

    def kept(logits: jax.Array) -> jax.Array:
        return _is_one_of(jax.lax.top_k(logits, min(options.k, logits.shape[-1]))[1], logits)

    return _keeping(kept)


def top_p(options: Any) -> Sampler:
    """The fewest likeliest symbols whose probabilities sum to p or more; of equals the first.

    A p of 1 changes nothing.

    Source: Holtzman et al., The Curious Case of Neural Text Degeneration, 2019, arXiv 1904.09751.

    >>> from types import SimpleNamespace
    >>> logits = jnp.log(jnp.array([[0.2, 0.5, 0.3]]))
    >>> jnp.exp(top_p(SimpleNamespace(p=0.6))(None, logits, None)[0]).round(1).tolist()
    [[0.0, 0.5, 0.300...]]
    """
    return _keeping(lambda logits: _fewest(logits, -logits, options.p))


def min_p(options: Any) -> Sampler:
    """The symbols at least p times as likely as the likeliest; equals stay or go together.

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
    """The fewest symbols with probability p whose surprise is nearest to the one expected.

    Symbols are taken in order of ``|-log p_i - H|``, where ``H = -sum p_i log p_i`` is the entropy,
    until their probabilities sum to p or more; of equals the first. The likeliest symbol may go. A
    p of 1 changes nothing.

    Source: Meister et al., Locally Typical Sampling, 2022, arXiv 2202.00666.

    >>> from types import SimpleNamespace
    >>> logits = jnp.log(jnp.array([[0.4, 0.2, 0.2, 0.1, 0.1]]))
    >>> jnp.isfinite(typical(SimpleNamespace(p=0.3))(None, logits, None)[0]).tolist()
    [[False, True, True, False, False]]
    """

    def kept(logits: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(logits)
        entropy = -jnp.sum(jax.scipy.special.xlogy(*(jnp.exp(log_p),) * 2), axis=-1, keepdims=True)
        return _fewest(logits, jnp.abs(-log_p - entropy), options.p)

    return _keeping(kept)


def _keeping(kept: Callable[[jax.Array], jax.Array]) -> Sampler:
    """The sampler that leaves possible what ``kept(logits): bool[B,V]`` says."""

    def sampler(key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None]:
        del key  # the core draws
        return jnp.where(kept(logits), logits, -jnp.inf), state

    return sampler


def _is_one_of(ids: jax.Array, logits: jax.Array) -> jax.Array:
    """Which symbols of each row are among its ``ids: int[B,k]``."""
    return jax.nn.one_hot(ids, logits.shape[-1], dtype=bool).any(axis=-2)


def _fewest(logits: jax.Array, order: jax.Array, p: float) -> jax.Array:
    """The first symbols in this order that have probability p together, none more than needed."""
    if p >= 1:
        return jnp.ones(logits.shape, bool)
    # Every symbol against every other: several times as fast as sorting an alphabet of characters.
    one, other = order[:, :, None], order[:, None, :]
    places = jnp.arange(order.shape[-1])
    comes_first = (places[None, :] < places[:, None])[None]
    before = (other < one) | ((other == one) & comes_first)
    mass_before = jnp.sum(jnp.where(before, jax.nn.softmax(logits)[:, None, :], 0.0), axis=-1)
    return mass_before < max(p, float(jnp.finfo(logits.dtype).tiny))
