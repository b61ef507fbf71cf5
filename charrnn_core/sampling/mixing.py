"""Mixing a model's predictions with those of counts, as a product of their powers."""

import jax

MIXTURES = ("ngram",)
"""What a model can be mixed with: interpolated n-gram counts."""

START = (0.6, 0.5)
"""The weights of the model and of the counts before anything is learnt."""


def mixed_log_p(weights: jax.Array, model: jax.Array, counts: jax.Array) -> jax.Array:
    """Return ``log q``, where ``q(x) = p_model(x)^w_1 p_counts(x)^w_2 / Z``.

    Arguments:
        weights: ``float32[...,2]``, w_1 and w_2.
        model, counts: ``float32[...,V]``, the log-probabilities.

    Source: the logistic mixing of Mahoney, Adaptive Weighing of Context Models for Lossless Data
    Compression, 2005, in the form for many symbols: the geometric mixing of Mattern, Mixing
    Strategies in Data Compression, 2012.

    >>> import jax.numpy as jnp
    >>> one, other = jnp.log(jnp.array([0.2, 0.8])), jnp.log(jnp.array([0.5, 0.5]))
    >>> [f"{q:.3f}" for q in jnp.exp(mixed_log_p(jnp.array([0.5, 7.0]), one, other)).tolist()]
    ['0.333', '0.667']
    """
    return jax.nn.log_softmax(weights[..., :1] * model + weights[..., 1:] * counts)
