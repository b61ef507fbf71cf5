"""Mixing a model's predictions with those of counts, as a product of their powers."""

import jax
import jax.numpy as jnp

MIXTURES = ("ngram",)
"""What a model can be mixed with: interpolated n-gram counts."""

START = (0.6, 0.5)
"""The weights of the model and of the counts before anything is learnt."""


SURE = (0.3, 0.6, 0.9)
"""Where the largest probability of the counts passes one of these, other weights are learnt."""


def sureness(counts: jax.Array) -> jax.Array:
    """Return how sure the counts are, from 0 to 3: ``float32[...,V] -> int32[...]``.

    >>> sureness(jnp.log(jnp.array([[0.5, 0.5], [0.01, 0.99]]))).tolist()
    [1, 3]
    """
    p = jnp.exp(counts.max(axis=-1))
    return jnp.stack([p > bound for bound in SURE]).sum(axis=0, dtype=jnp.int32)


def mixed_log_p(weights: jax.Array, model: jax.Array, counts: jax.Array) -> jax.Array:
    """Return ``log q``, where ``q(x) = p_model(x)^w_1 p_counts(x)^w_2 / Z``.

    Arguments:
        weights: ``float32[...,2]``, w_1 and w_2.
        model, counts: ``float32[...,V]``, the log-probabilities.

    Source: the logistic mixing of Mahoney, Adaptive Weighing of Context Models for Lossless Data
    Compression, 2005, in the form for many symbols: the geometric mixing of Mattern, Mixing
    Strategies in Data Compression, 2012.

    >>> one, other = jnp.log(jnp.array([0.2, 0.8])), jnp.log(jnp.array([0.5, 0.5]))
    >>> [f"{q:.3f}" for q in jnp.exp(mixed_log_p(jnp.array([0.5, 7.0]), one, other)).tolist()]
    ['0.333', '0.667']
    """
    return jax.nn.log_softmax(weights[..., :1] * model + weights[..., 1:] * counts)
