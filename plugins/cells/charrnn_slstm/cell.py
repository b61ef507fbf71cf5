"""The sLSTM of xLSTM, written as its equations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_BEFORE_ANYTHING = -1e30


class SLSTMCell(nn.RNNCellBase):
    """``c' = f c + i z;  n' = f n + i;  h' = o c' / n'``; the output is ``h'``.

    ``z = tanh(a_z)``, ``o = sigmoid(a_o)``, ``i = exp(a_i)``, and f is ``sigmoid(a_f)`` or
    ``exp(a_f)``, where each ``a = W h + U x + b`` has its own weights. n accumulates the weights of
    the terms in c, so ``c / n`` is a weighted mean. c and n are stored divided by ``exp(m)``, which
    does not change h: ``m' = max(log f + m, a_i)``, with ``i = exp(a_i - m')`` and
    ``f = exp(log f + m - m')``.

    Arguments:
        features: H, the width of the hidden state.
        forget: ``"sigmoid"`` or ``"exponential"``.
        forget_bias: the initial bias of f.

    W is initialized orthogonal, U LeCun normal, other biases zero. A step takes the carry
    ``(c, n, m, h): float[B,H]`` each and ``x: float[B,in_features]`` and returns the next carry and
    ``h'``.

    Source: Beck et al., xLSTM, 2024, arXiv 2405.04517, with one head. The convolution, group
    normalisation and projections of its block are not part of the cell.

    >>> cell = SLSTMCell(features=4)
    >>> carry, x = cell.initialize_carry(jax.random.key(0), (2, 3)), jnp.ones((2, 3))
    >>> params = cell.init(jax.random.key(0), carry, x)
    >>> cell.apply(params, carry, x)[1].shape
    (2, 4)
    """

    features: int
    forget: str = "sigmoid"
    forget_bias: float = 1.0

    @nn.compact
    def __call__(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        c, n, m, h = carry
        z = nn.tanh(self._gate("z", h, x))
        o = nn.sigmoid(self._gate("o", h, x))
        a_i = self._gate("i", h, x)
        a_f = self._gate("f", h, x, self.forget_bias)
        log_f = nn.log_sigmoid(a_f) if self.forget == "sigmoid" else a_f
        new_m = jnp.maximum(log_f + m, a_i)
        i, f = jnp.exp(a_i - new_m), jnp.exp(log_f + m - new_m)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        return (c, n, new_m, h), h

    def _gate(self, name: str, h: jax.Array, x: jax.Array, bias: float = 0.0) -> jax.Array:
        W = nn.Dense(
            self.features,
            kernel_init=nn.initializers.orthogonal(),
            bias_init=nn.initializers.constant(bias),
            name=f"W_{name}",
        )
        return W(h) + nn.Dense(self.features, use_bias=False, name=f"U_{name}")(x)

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> Any:
        """Return zeros, and for m a value so low that the first i is 1, and n at least 1."""
        zeros = jnp.zeros((*input_shape[:-1], self.features))
        return zeros, zeros, jnp.full_like(zeros, _BEFORE_ANYTHING), zeros
