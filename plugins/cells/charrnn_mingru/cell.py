"""The minimal GRU, written as its equations."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class MinGRUCell(nn.RNNCellBase):
    """``z = sigmoid(U_z x + b);  h' = (1 - z) h + z g(U_h x + c)``; the output is ``h'``.

    ``g(a) = a + 1/2`` for ``a >= 0``, else ``sigmoid(a)``: positive and continuous. No product
    reads the carry, so each runs once for all steps.

    Arguments:
        features: H, the width of the hidden state.

    U is initialized LeCun normal, biases zero. A step takes ``h: float[B,H]`` and
    ``x: float[B,in_features]`` and returns ``(h', h')``. A gate sees the past only through the
    layer below, so use at least two layers.

    Source: Feng et al., Were RNNs All We Needed?, 2024, arXiv 2410.01201, with the g of its
    log-space form. The recurrence here is the plain one.

    >>> cell = MinGRUCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = nn.sigmoid(nn.Dense(self.features, name="U_z")(x))
        a = nn.Dense(self.features, name="U_h")(x)
        g = jnp.where(a >= 0, a + 0.5, nn.sigmoid(a))
        h = (1 - z) * h + z * g
        return h, h
