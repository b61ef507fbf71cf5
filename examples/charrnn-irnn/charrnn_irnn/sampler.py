"""Sampling from the k likeliest symbols."""

from typing import Any

import jax
import jax.numpy as jnp


def top_k(options: Any) -> Any:
    """``p = softmax(o)`` over the k largest logits; every other symbol has probability 0.

    The sampler takes ``logits: float[B,V]`` and gives them back with all but k of each row at minus
    infinity. Of equal logits the first are kept, so there are never more than k; a k of V or more
    changes nothing.

    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation, 2018, arXiv 1805.04833.

    >>> from types import SimpleNamespace
    >>> sampler = top_k(SimpleNamespace(k=2))
    >>> sampler(None, jnp.array([[1.0, 3.0, 2.0]]), None)[0].tolist()
    [[-inf, 3.0, 2.0]]
    """

    def sampler(key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None]:
        del key  # the core draws
        symbols = logits.shape[-1]
        _, likeliest = jax.lax.top_k(logits, min(options.k, symbols))
        kept = jax.nn.one_hot(likeliest, symbols, dtype=bool).any(axis=-2)
        return jnp.where(kept, logits, -jnp.inf), state

    return sampler
