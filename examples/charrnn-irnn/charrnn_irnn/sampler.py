"""Sampling from the symbols that are not too unlikely."""

from typing import Any

import jax
import jax.numpy as jnp


def epsilon(options: Any) -> Any:
    """``p = softmax(o)`` over the symbols with ``p_i >= epsilon``; every other has probability 0.

    The sampler takes ``logits: float[B,V]`` and gives them back with minus infinity at what is too
    unlikely. Where that would be every symbol, the likeliest ones stay.

    Source: Hewitt, Manning and Liang, Truncation Sampling as Language Model Desmoothing, 2022,
    arXiv 2210.15191.

    >>> from types import SimpleNamespace
    >>> sampler = epsilon(SimpleNamespace(epsilon=0.2))
    >>> sampler(None, jnp.array([[1.0, 3.0, 2.0]]), None)[0].tolist()
    [[-inf, 3.0, 2.0]]
    """

    def sampler(key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None]:
        del key  # the core draws
        p = jax.nn.softmax(logits)
        kept = p >= jnp.minimum(options.epsilon, jnp.max(p, axis=-1, keepdims=True))
        return jnp.where(kept, logits, -jnp.inf), state

    return sampler
