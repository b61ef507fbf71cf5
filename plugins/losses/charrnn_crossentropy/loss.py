"""Softmax cross-entropy over integer targets."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


def crossentropy(
    options: object,
) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """Return the loss ``sum_i w_i (-log softmax(o_i)[target_i]) / sum_i w_i``.

    The loss takes ``logits: float[T,B,V]``, ``targets: int32[T,B]`` and ``weights: float[T,B]``
    (0 for padding) and returns nats per character, a scalar.

    >>> loss = crossentropy(None)
    >>> uniform = loss(jnp.zeros((1, 2, 4)), jnp.zeros((1, 2), jnp.int32), jnp.ones((1, 2)))
    >>> round(float(uniform), 4)  # ln 4
    1.3863
    """
    del options  # there are none

    def loss(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return jnp.sum(nats * weights) / jnp.maximum(jnp.sum(weights), 1.0)

    return loss
