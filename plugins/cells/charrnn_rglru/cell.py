"""The real-gated linear recurrent unit, written as its equations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_C = 8


class RGLRUCell(nn.RNNCellBase):
    """``h' = a h + sqrt(1 - a^2) (i v)`` with ``v = U x``; the output is ``h'``.

    ``r, i = sigmoid(U v + b)``, each with its own weights, and ``a = sigmoid(L)^(8 r)`` with a
    vector L. No product reads the carry, so each runs once for all steps.

    Arguments:
        features: H, the width of the hidden state.

    L is initialized so that ``sigmoid(L)`` is uniform between 0.9 and 0.999: at first, units keep
    0.66 to 0.996 of h per step. This is the range of the authors' released code, which draws its
    square uniformly; the paper gives the same range for ``sigmoid(L)^8``. U is LeCun normal, biases
    zero. A step takes ``h: float[B,H]`` and ``x: float[B,in_features]`` and returns ``(h', h')``.

    Source: De et al., Griffin, 2024, arXiv 2402.19427. Its block projects the input before a
    convolution and this unit; here the projection v is part of the cell, without the convolution.
    The gates' weights are full here, block-diagonal there.

    >>> cell = RGLRUCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        v = nn.Dense(self.features, use_bias=False, name="U")(x)
        r = nn.sigmoid(nn.Dense(self.features, name="U_r")(v))
        i = nn.sigmoid(nn.Dense(self.features, name="U_i")(v))
        L = jnp.broadcast_to(self.param("L", _initial_L, (self.features,)), r.shape)
        log_a = _C * r * nn.log_sigmoid(L)
        # 1 - a^2 without cancellation; bounded from below, as the root has no gradient at 0.
        rest = jnp.maximum(-jnp.expm1(2 * log_a), jnp.finfo(r.dtype).tiny)
        h = jnp.exp(log_a) * h + jnp.sqrt(rest) * (i * v)
        return h, h


def _initial_L(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    a = jax.random.uniform(key, shape, dtype, minval=0.9, maxval=0.999)
    return jnp.log(a / (1 - a))
