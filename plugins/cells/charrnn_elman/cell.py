"""The Elman cell, written as its equation."""

from collections.abc import Callable

import flax.linen as nn
import jax

_INITIALIZERS = {
    "orthogonal": nn.initializers.orthogonal,
    "glorot": nn.initializers.glorot_uniform,
}


class ElmanCell(nn.RNNCellBase):
    """``h' = f(W h + U x + b)``; the output is ``h'``.

    Arguments:
        features: H, the width of the hidden state.
        activation: f.
        recurrent_init: how W is initialized. Orthogonal preserves the length of h at the start of
            training, so gradients neither vanish nor explode at first (Saxe et al. 2014, arXiv
            1312.6120); Glorot uniform is the classic choice (Glorot and Bengio 2010). U is LeCun
            normal, b zero.

    A step takes ``h: float[B,H]`` and ``x: float[B,in_features]`` and returns ``(h', h')``.

    Source: Elman, Finding Structure in Time, 1990. The readout is the network's, not the cell's.

    >>> import jax.numpy as jnp
    >>> cell = ElmanCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int
    activation: Callable[[jax.Array], jax.Array] = nn.tanh
    recurrent_init: Callable[..., jax.Array] = nn.initializers.orthogonal()

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        W = nn.Dense(self.features, kernel_init=self.recurrent_init, name="W")
        U = nn.Dense(self.features, use_bias=False, name="U")
        h = self.activation(W(h) + U(x))
        return h, h


def elman(features: int, activation: str, recurrent_init: str) -> ElmanCell:
    """Return the cell that the plugin's options describe."""
    return ElmanCell(features, getattr(nn, activation), _INITIALIZERS[recurrent_init]())
