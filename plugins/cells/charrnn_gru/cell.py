"""The gated recurrent unit, written as its equations."""

import flax.linen as nn
import jax

from charrnn_core import noise


class GRUCell(nn.RNNCellBase):
    """``h' = z h + (1 - z) n``; the output is ``h'``.

    ``r, z = sigmoid(W h + U x + b)``, each with weights of its own. The candidate is
    ``n = tanh(r (W_n h + b) + U_n x + c)`` with the reset gate after the product, and
    ``n = tanh(W_n (r h) + U_n x + c)`` with it before.

    Arguments:
        features: H, the width of the hidden state.
        reset: ``"before"`` is the paper's; ``"after"``, which cuDNN and most libraries compute,
            needs one product per step instead of two in sequence.
        layer_norm: every product ``W h`` and ``U x`` is normalised separately: each row gets mean 0
            and deviation 1, then each feature is scaled.
        zoneout: the probability that an element of h keeps its old value in a training step;
            outside training, the step uses the expectation.
        dropout: the share of h hidden from the gates in training, one mask per window.

    W is initialized orthogonal, U LeCun normal, biases zero. A step takes ``h: float[B,H]`` and
    ``x: float[B,in_features]`` and returns ``(h', h')``.

    Source: Cho et al. 2014, arXiv 1406.1078; reset after the product: its version 1, and Keras's
    ``reset_after``. Layer normalisation: Ba et al. 2016, arXiv 1607.06450, where the two gates
    share a mean. Zoneout: Krueger et al. 2016, arXiv 1606.01305. Dropout with one mask: Gal and
    Ghahramani 2016, arXiv 1512.05287.

    >>> import jax.numpy as jnp
    >>> cell = GRUCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int
    reset: str = "after"
    layer_norm: bool = False
    zoneout: float = 0.0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        seen = noise.variational(self, self.dropout, h)
        r = nn.sigmoid(self._W("r", seen) + self._U("r", x))
        z = nn.sigmoid(self._W("z", seen) + self._U("z", x))
        if self.reset == "after":
            n = nn.tanh(r * self._W("n", seen) + self._U("n", x, bias=True))
        else:
            n = nn.tanh(self._W("n", r * seen, bias=False) + self._U("n", x, bias=True))
        h = noise.zoneout(self, self.zoneout, h, z * h + (1 - z) * n)
        return h, h

    def _W(self, name: str, h: jax.Array, bias: bool = True) -> jax.Array:
        init = nn.initializers.orthogonal()
        return self._product(f"W_{name}", h, bias, init)

    def _U(self, name: str, x: jax.Array, bias: bool = False) -> jax.Array:
        init = nn.initializers.lecun_normal()
        return self._product(f"U_{name}", x, bias, init)

    def _product(
        self, name: str, operand: jax.Array, bias: bool, init: nn.initializers.Initializer
    ) -> jax.Array:
        plain = bias and not self.layer_norm
        product = nn.Dense(self.features, use_bias=plain, kernel_init=init, name=name)(operand)
        if not self.layer_norm:
            return product
        return nn.LayerNorm(use_bias=bias, name=f"norm_{name}")(product)
