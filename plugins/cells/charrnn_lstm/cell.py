"""Long short-term memory, written as its equations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from charrnn_core import noise


class LSTMCell(nn.RNNCellBase):
    """``c' = f c + i g;  h' = o tanh(c')``; the output is ``h'``.

    ``i, f, o = sigmoid(W h + U x + b)`` and ``g = tanh(W h + U x + b)``, each with weights of its
    own: ``W_i, U_i`` and so on.

    Arguments:
        features: H, the width of h and of the memory c.
        forget_bias: the initial bias of f. With 1 the memory persists from the start of training.
        layer_norm: every gate is ``LN(W h) + LN(U x) + b`` and the output ``h' = o tanh(LN(c'))``,
            where LN gives each row mean 0 and deviation 1, then scales each feature. The memory
            itself is not normalised.
        zoneout_c, zoneout_h: the probability that an element of c or h keeps its old value in a
            training step; outside training, the step uses the expectation.
        dropout: the share of h hidden from the gates in training, one mask per window.

    W is initialized orthogonal, U LeCun normal, b zero except in the forget gate. A step takes a
    carry ``(c, h): float[B,H]`` each and ``x: float[B,in_features]``, returns ``((c', h'), h')``.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; the forget gate is by Gers,
    Schmidhuber and Cummins, 2000, its bias by Jozefowicz et al., 2015. There are no peepholes.
    Layer normalisation: Ba et al. 2016, arXiv 1607.06450; here each gate has its own mean, there
    the four share one. Zoneout: Krueger et al. 2016, arXiv 1606.01305. Dropout with one mask: Gal
    and Ghahramani 2016, arXiv 1512.05287.

    >>> cell = LSTMCell(features=4)
    >>> carry, x = cell.initialize_carry(jax.random.key(0), (2, 3)), jnp.ones((2, 3))
    >>> params = cell.init(jax.random.key(0), carry, x)
    >>> cell.apply(params, carry, x)[1].shape
    (2, 4)
    """

    features: int
    forget_bias: float = 1.0
    layer_norm: bool = False
    zoneout_c: float = 0.0
    zoneout_h: float = 0.0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        c, h = carry
        seen = noise.variational(self, self.dropout, h)
        i = nn.sigmoid(self._gate("i", seen, x))
        f = nn.sigmoid(self._gate("f", seen, x, self.forget_bias))
        g = nn.tanh(self._gate("g", seen, x))
        o = nn.sigmoid(self._gate("o", seen, x))
        new_c = f * c + i * g
        normed = nn.LayerNorm(name="norm_c")(new_c) if self.layer_norm else new_c
        new_h = o * nn.tanh(normed)
        c = noise.zoneout(self, self.zoneout_c, c, new_c)
        h = noise.zoneout(self, self.zoneout_h, h, new_h)
        return (c, h), h

    def _gate(self, name: str, h: jax.Array, x: jax.Array, bias: float = 0.0) -> jax.Array:
        """Return ``W h + U x + b``."""
        start = nn.initializers.constant(bias)
        W = nn.Dense(
            self.features,
            use_bias=not self.layer_norm,
            kernel_init=nn.initializers.orthogonal(),
            bias_init=start,
            name=f"W_{name}",
        )
        U = nn.Dense(self.features, use_bias=False, name=f"U_{name}")
        if not self.layer_norm:
            return W(h) + U(x)
        norm_W = nn.LayerNorm(bias_init=start, name=f"norm_W_{name}")
        norm_U = nn.LayerNorm(use_bias=False, name=f"norm_U_{name}")
        return norm_W(W(h)) + norm_U(U(x))

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> Any:
        """Return ``c`` and ``h``, zeros."""
        zeros = jnp.zeros((*input_shape[:-1], self.features))
        return zeros, zeros
