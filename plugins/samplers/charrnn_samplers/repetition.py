"""A penalty on symbols that were written recently."""

from typing import Any

import jax
import jax.numpy as jnp


class Repetition:
    """``o_i' = o_i / penalty`` where ``o_i > 0``, else ``o_i penalty``, for recent symbols.

    Recent are the `last` characters of prompt and sample, no matter how often they occur. The state
    is ``int32[B,last]``, the newest first, -1 where there is none yet.

    Source: Keskar et al., CTRL: A Conditional Transformer Language Model for Controllable
    Generation, 2019, arXiv 1909.05858. Deviation: the paper divides all scores, which would reward
    a symbol whose score is negative; here such a score is multiplied, as is usual today.

    >>> from types import SimpleNamespace
    >>> sampler = Repetition(SimpleNamespace(penalty=2.0, last=3))
    >>> state = sampler.observe(sampler.init(1), jnp.array([0]))
    >>> state = sampler.observe(state, jnp.array([2]))
    >>> sampler(None, jnp.array([[3.0, 1.0, -1.0]]), state)[0].tolist()
    [[1.5, 1.0, -2.0]]
    """

    def __init__(self, options: Any) -> None:
        self.penalty, self.last = options.penalty, options.last

    def init(self, batch: int) -> jax.Array:
        """Return the state before any character."""
        return jnp.full((batch, self.last), -1, jnp.int32)

    def observe(self, state: jax.Array, ids: jax.Array) -> jax.Array:
        """Return the state after ``ids: int32[B]``."""
        return jnp.concatenate([ids[:, None], state[:, :-1]], axis=1)

    def __call__(
        self, key: jax.Array, logits: jax.Array, state: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del key  # the core draws
        seen = jax.nn.one_hot(state, logits.shape[-1], dtype=bool).any(axis=1)
        penalised = jnp.where(logits > 0, logits / self.penalty, logits * self.penalty)
        return jnp.where(seen, penalised, logits), state
