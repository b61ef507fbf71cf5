"""Sampling at a temperature."""

from typing import Any

import jax
import jax.numpy as jnp

_LEAST = 1e-30
"""The smallest T; dividing by less would overflow, and it makes no difference well before."""


def temperature(options: Any) -> Any:
    """Return the sampler ``p = softmax(o / T)``; ``T = 0`` keeps only the first largest logit.

    The sampler takes ``logits: float[B,V]`` and returns ``logits / T``.

    >>> from types import SimpleNamespace
    >>> sampler = temperature(SimpleNamespace(temperature=0.5))
    >>> sampler(None, jnp.array([[1.0, 2.0]]), None)[0].tolist()
    [[2.0, 4.0]]
    """
    T = options.temperature and max(options.temperature, _LEAST)

    def sampler(key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None]:
        del key  # the core draws
        if T > 0:
            return logits / T, state
        best = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=bool)
        return jnp.where(best, 0.0, -jnp.inf), state

    return sampler
