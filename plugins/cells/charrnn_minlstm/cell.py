"""The minimal LSTM, written as its equations."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class MinLSTMCell(nn.RNNCellBase):
    """``h' = f / (f + i) h + i / (f + i) g(U_h x + b)``; the output is ``h'``.

    ``f, i = sigmoid(U x + b)``, each with weights of its own; ``g(a) = a + 1/2`` for ``a >= 0``,
    else ``sigmoid(a)``: positive and continuous. No product reads the carry, so each runs once for
    all steps.

    Arguments:
        features: H, the width of the hidden state.
        forget_bias: the initial bias of f.

    U is initialized LeCun normal, other biases zero. A step takes ``h: float[B,H]`` and
    ``x: float[B,in_features]`` and returns ``(h', h')``. A gate sees the past only through the
    layer below, so use at least two layers.

    Source: Feng et al., Were RNNs All We Needed?, 2024, arXiv 2410.01201, with the g and the gates
    of its log-space form. The recurrence here is the plain one.

    >>> cell = MinLSTMCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int
    forget_bias: float = 1.0

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = nn.initializers.constant(self.forget_bias)
        f = nn.Dense(self.features, bias_init=start, name="U_f")(x)
        i = nn.Dense(self.features, name="U_i")(x)
        # f / (f + i), computed from the logarithms because both gates may underflow to 0.
        share = nn.sigmoid(nn.log_sigmoid(f) - nn.log_sigmoid(i))
        a = nn.Dense(self.features, name="U_h")(x)
        g = jnp.where(a >= 0, a + 0.5, nn.sigmoid(a))
        h = share * h + (1 - share) * g
        return h, h
