"""The independently recurrent network, written as its equation."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class IndRNNCell(nn.RNNCellBase):
    """``h' = f(U x + u h + b)`` with a vector u, ``|u| <= 1``; the output is ``h'``.

    Arguments:
        features: H, the width of the hidden state.
        activation: f, ``"relu"`` or ``"tanh"``.
        steps: if not 0, ``|u| <= 2^(1/steps)``: over this many steps a unit's own past grows at
            most twofold. Meant for sequences of that length: over a long text h overflows.

    u is initialized uniform between 0 and its bound, so that units have many different time scales;
    U is He normal, b zero. A step takes ``h: float[B,H]`` and ``x: float[B,in_features]`` and
    returns ``(h', h')``. Units only interact in the next layer, so use at least two layers.

    Source: Li et al. 2018, arXiv 1803.04831. The paper bounds u by the length of a sequence, but
    its authors' character model bounds u by 1, because there the state is carried over as well.
    They clip u after every update; here u is clipped where it is used and its gradient passes the
    clip, so that u can return.

    >>> cell = IndRNNCell(features=4)
    >>> params = cell.init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    >>> cell.apply(params, jnp.zeros((2, 4)), jnp.ones((2, 3)))[1].shape
    (2, 4)
    """

    features: int
    activation: str = "relu"
    steps: int = 0

    @nn.compact
    def __call__(self, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        bound = 2 ** (1 / self.steps) if self.steps else 1.0
        free = self.param("u", nn.initializers.uniform(bound), (self.features,))
        u = free + jax.lax.stop_gradient(jnp.clip(free, -bound, bound) - free)
        U = nn.Dense(self.features, kernel_init=nn.initializers.he_normal(), name="U")
        h = getattr(nn, self.activation)(U(x) + jnp.broadcast_to(u, h.shape) * h)
        return h, h
