"""The multiplicative LSTM, written as its equations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from charrnn_core import noise


class MLSTMCell(nn.RNNCellBase):
    """``m = (U_m x) (W_m h);  c' = f c + i g;  h' = o tanh(c')``; the output is ``h'``.

    ``i, f, o = sigmoid(W m + U x + b)`` and ``g = tanh(W m + U x + b)``, each with its own weights.
    Through m every input has its own recurrent weights.

    Arguments:
        features: H, the width of h, m and the memory c.
        forget_bias: the initial bias of f.
        dropout: the share of h hidden from m in training, one mask per window.

    W is initialized orthogonal, U LeCun normal, b zero except in the forget gate. Use an embedding:
    with one-hot characters m starts small. A step takes the carry ``(c, h): float[B,H]`` each and
    ``x: float[B,in_features]`` and returns ``((c', h'), h')``.

    Source: Krause et al. 2016, arXiv 1609.07959, without weight normalisation. It is not the mLSTM
    of xLSTM. Dropout with one mask: Gal and Ghahramani 2016, arXiv 1512.05287.

    >>> cell = MLSTMCell(features=4)
    >>> carry, x = cell.initialize_carry(jax.random.key(0), (2, 3)), jnp.ones((2, 3))
    >>> params = cell.init(jax.random.key(0), carry, x)
    >>> cell.apply(params, carry, x)[1].shape
    (2, 4)
    """

    features: int
    forget_bias: float = 1.0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        c, h = carry
        seen = noise.variational(self, self.dropout, h)
        m = self._U("m", x) * self._W("m", seen, bias=None)
        f = nn.sigmoid(self._W("f", m, self.forget_bias) + self._U("f", x))
        i = nn.sigmoid(self._W("i", m) + self._U("i", x))
        g = nn.tanh(self._W("g", m) + self._U("g", x))
        o = nn.sigmoid(self._W("o", m) + self._U("o", x))
        c = f * c + i * g
        h = o * nn.tanh(c)
        return (c, h), h

    def _W(self, name: str, operand: jax.Array, bias: float | None = 0.0) -> jax.Array:
        return nn.Dense(
            self.features,
            use_bias=bias is not None,
            kernel_init=nn.initializers.orthogonal(),
            bias_init=nn.initializers.constant(bias or 0.0),
            name=f"W_{name}",
        )(operand)

    def _U(self, name: str, x: jax.Array) -> jax.Array:
        return nn.Dense(self.features, use_bias=False, name=f"U_{name}")(x)

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> Any:
        """Return ``c`` and ``h``, zeros."""
        zeros = jnp.zeros((*input_shape[:-1], self.features))
        return zeros, zeros
