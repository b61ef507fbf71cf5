"""The recurrent highway network, written as its equations."""

import flax.linen as nn
import jax

from charrnn_core import noise


class RHNCell(nn.RNNCellBase):
    """``s_0 = h;  s_l = n_l t_l + s_{l-1} (1 - t_l);  h' = s_L``; the output is ``h'``.

    ``n_l = tanh(W s_{l-1} + [l = 1] U x + b)`` and ``t_l = sigmoid(W s_{l-1} + [l = 1] U x + b)``
    have their own weights in every layer l; only the first layer reads the input.

    Arguments:
        features: H, the width of the hidden state.
        depth: L, the number of highway layers in a step.
        transform_bias: the initial bias of t. Below 0, layers mostly pass s through at first.
        dropout: the share of each ``s_{l-1}`` hidden from layer l in training, one mask per window.

    W is initialized orthogonal, U LeCun normal, other biases zero. A step takes ``h: float[B,H]``
    and ``x: float[B,in_features]`` and returns ``(h', h')``.

    Source: Zilly et al., Recurrent Highway Networks, 2017, arXiv 1607.03474, with the coupled carry
    gate ``1 - t``. There all layers share one dropout mask; here each has its own.

    >>> import jax.numpy as jnp
    >>> cell = RHNCell(features=4, depth=2)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int
    depth: int = 3
    transform_bias: float = -2.0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        s = h
        for layer in range(1, self.depth + 1):
            seen = noise.variational(self, self.dropout, s)
            n = self._W(f"n{layer}", seen)
            t = self._W(f"t{layer}", seen, self.transform_bias)
            if layer == 1:
                n, t = n + self._U("n1", x), t + self._U("t1", x)
            t = nn.sigmoid(t)
            s = nn.tanh(n) * t + s * (1 - t)
        return s, s

    def _W(self, name: str, s: jax.Array, bias: float = 0.0) -> jax.Array:
        return nn.Dense(
            self.features,
            kernel_init=nn.initializers.orthogonal(),
            bias_init=nn.initializers.constant(bias),
            name=f"W_{name}",
        )(s)

    def _U(self, name: str, x: jax.Array) -> jax.Array:
        return nn.Dense(self.features, use_bias=False, name=f"U_{name}")(x)
