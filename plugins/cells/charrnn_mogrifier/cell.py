"""The Mogrifier LSTM, written as its equations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from charrnn_core import noise


class MogrifierCell(nn.RNNCellBase):
    """``x <- 2 sigmoid(Q_i h) x`` for odd i, ``h <- 2 sigmoid(R_i x) h`` for even i; then an LSTM.

    The LSTM reads x and h after the rounds i = 1 to r:
    ``c' = f c + i g;  h' = o tanh(c')`` with ``i, f, o = sigmoid(W h + U x + b)`` and
    ``g = tanh(W h + U x + b)``. The output is ``h'``.

    Arguments:
        features: H, the width of h and of the memory c.
        rounds: r; with 0 it is an LSTM.
        rank: every Q and R is a product of two matrices of this rank; 0 is one full matrix.
        forget_bias: the initial bias of f.
        dropout: the share of h hidden from a step in training, one mask per window.

    W is initialized orthogonal, U, Q and R LeCun normal, b zero except in the forget gate. Use an
    embedding: one-hot characters leave little to modulate. A step takes the carry
    ``(c, h): float[B,H]`` each and ``x: float[B,in_features]`` and returns ``((c', h'), h')``.

    Source: Melis, Kocisky and Blunsom 2020, arXiv 1909.01792. Dropout with one mask: Gal and
    Ghahramani 2016, arXiv 1512.05287.

    >>> cell = MogrifierCell(features=4)
    >>> carry, x = cell.initialize_carry(jax.random.key(0), (2, 3)), jnp.ones((2, 3))
    >>> params = cell.init(jax.random.key(0), carry, x)
    >>> cell.apply(params, carry, x)[1].shape
    (2, 4)
    """

    features: int
    rounds: int = 5
    rank: int = 0
    forget_bias: float = 1.0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        c, h = carry
        h = noise.variational(self, self.dropout, h)
        for i in range(1, self.rounds + 1):
            if i % 2:
                x = 2 * nn.sigmoid(self._modulate(f"Q{i}", h, x.shape[-1])) * x
            else:
                h = 2 * nn.sigmoid(self._modulate(f"R{i}", x, h.shape[-1])) * h
        f = nn.sigmoid(self._gate("f", h, x, self.forget_bias))
        i = nn.sigmoid(self._gate("i", h, x))
        g = nn.tanh(self._gate("g", h, x))
        o = nn.sigmoid(self._gate("o", h, x))
        c = f * c + i * g
        h = o * nn.tanh(c)
        return (c, h), h

    def _modulate(self, name: str, by: jax.Array, width: int) -> jax.Array:
        if self.rank:
            by = nn.Dense(self.rank, use_bias=False, name=f"{name}_right")(by)
            name = f"{name}_left"
        return nn.Dense(width, use_bias=False, name=name)(by)

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
        """Return ``c`` and ``h``, zeros."""
        zeros = jnp.zeros((*input_shape[:-1], self.features))
        return zeros, zeros
