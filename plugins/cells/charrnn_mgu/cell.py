"""The minimal gated unit, written as its equations."""

import flax.linen as nn
import jax


class MGUCell(nn.RNNCellBase):
    """``f = sigmoid(W_f h + U_f x + b);  n = tanh(W_n (f h) + U_n x + c);  h' = (1 - f) h + f n``.

    The output is ``h'``. One gate both resets and updates.

    Arguments:
        features: H, the width of the hidden state.

    W is initialized orthogonal, U LeCun normal, biases zero. A step takes ``h: float[B,H]`` and
    ``x: float[B,in_features]`` and returns ``(h', h')``.

    Source: Zhou et al. 2016, arXiv 1603.09420.

    >>> import jax.numpy as jnp
    >>> cell = MGUCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        f = nn.sigmoid(self._W("f", h) + self._U("f", x))
        n = nn.tanh(self._W("n", f * h) + self._U("n", x))
        h = (1 - f) * h + f * n
        return h, h

    def _W(self, name: str, h: jax.Array) -> jax.Array:
        init = nn.initializers.orthogonal()
        return nn.Dense(self.features, kernel_init=init, name=f"W_{name}")(h)

    def _U(self, name: str, x: jax.Array) -> jax.Array:
        return nn.Dense(self.features, use_bias=False, name=f"U_{name}")(x)
