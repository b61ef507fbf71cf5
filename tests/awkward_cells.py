"""Cells as authors of all kinds may write them: each uses something that a compiler may lack."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

H = 8


class _Cell(nn.RNNCellBase):
    """A cell whose carry is one vector of H numbers, unless it says otherwise."""

    @nn.nowrap
    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Any:
        return jnp.zeros((*input_shape[:-1], H))

    @property
    def num_feature_axes(self) -> int:
        return 1


class Normalised(_Cell):
    """Normalises layers, with two states."""

    @nn.compact
    def __call__(self, carry, x):
        h, c = carry
        gates = nn.LayerNorm()(nn.Dense(4 * H)(jnp.concatenate([h, x], axis=-1)))
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * nn.LayerNorm()(jnp.tanh(c))
        return (h, c), h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        zero = jnp.zeros((*input_shape[:-1], H))
        return zero, zero


class Remembering(_Cell):
    """Attends to its last five states, which it keeps in a ring with an integer position."""

    @nn.compact
    def __call__(self, carry, x):
        h, ring, at = carry
        query = nn.Dense(H)(jnp.concatenate([x, h], axis=-1))
        weights = nn.softmax(jnp.einsum("bh,bkh->bk", query, ring), axis=-1)
        found = jnp.einsum("bk,bkh->bh", weights, ring)
        h = jnp.tanh(nn.Dense(H)(jnp.concatenate([query, found], axis=-1)))
        put = jax.vmap(lambda r, i, new: lax.dynamic_update_slice(r, new[None], (i, 0)))
        return (h, put(ring, at % 5, h), at + 1), h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        batch = input_shape[:-1]
        return jnp.zeros((*batch, H)), jnp.zeros((*batch, 5, H)), jnp.zeros(batch, jnp.int32)


class Sparse(_Cell):
    """Keeps its three largest units."""

    @nn.compact
    def __call__(self, h, x):
        z = nn.gelu(nn.Dense(H)(jnp.concatenate([x, h], axis=-1)), approximate=False)
        least = lax.top_k(z, 3)[0][..., -1:]
        h = jnp.where(z >= jnp.broadcast_to(least, z.shape), z, 0.0)
        return h, h


class Pondering(_Cell):
    """Goes on until it is sure, at most four times."""

    @nn.compact
    def __call__(self, h, x):
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (H, H))
        x = nn.Dense(H)(x)

        def again(state):
            count, _, sure = state
            return (count < 4) & jnp.any(sure < 1.0)

        def ponder(state):
            count, h, sure = state
            h = jnp.tanh(h @ kernel + x)
            return count + 1, h, sure + nn.sigmoid(h[..., 0])

        start = (jnp.int32(0), h, jnp.zeros(h.shape[:-1]))
        _, h, _ = lax.while_loop(again, ponder, start)
        return h, h


class Deep(_Cell):
    """Scans over its layers."""

    @nn.compact
    def __call__(self, h, x):
        kernels = self.param("kernels", nn.initializers.lecun_normal(), (3, H, H))
        x = nn.Dense(H)(x)
        h, _ = lax.scan(lambda h, kernel: (jnp.tanh(h @ kernel + x), None), h, kernels)
        return h, h


class VeryDeep(_Cell):
    """Scans over more layers than are written out."""

    @nn.compact
    def __call__(self, h, x):
        kernels = self.param("kernels", nn.initializers.lecun_normal(), (19, H, H))
        x = nn.Dense(H)(x)

        def layer(h, kernel):
            h = jnp.tanh(h @ kernel + x)
            return h, h.mean(axis=-1)

        h, means = lax.scan(layer, h, kernels, reverse=True)
        return h, h * means[0][:, None] + means[7][:, None]


class Clockwork(_Cell):
    """Has units that change every second, fourth or eighth step, and counts steps."""

    @nn.compact
    def __call__(self, carry, x):
        h, step = carry
        period = jnp.repeat(2 ** jnp.arange(4), H // 4)
        new = jnp.tanh(nn.Dense(H)(jnp.concatenate([x, h], axis=-1)))
        due = jnp.broadcast_to(step[:, None], h.shape) % jnp.broadcast_to(period, h.shape) == 0
        h = jnp.where(due, new, h)
        return (h, step + 1), h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        batch = input_shape[:-1]
        return jnp.zeros((*batch, H)), jnp.zeros(batch, jnp.int32)


class Ordered(_Cell):
    """Forgets by a cumulative softmax."""

    @nn.compact
    def __call__(self, h, x):
        z = nn.Dense(2 * H)(jnp.concatenate([x, h], axis=-1))
        f = jnp.cumsum(nn.softmax(z[..., :H], axis=-1), axis=-1)
        h = f * h + (1 - f) * jnp.tanh(z[..., H:])
        return h, h


class Rotating(_Cell):
    """Has complex states that rotate."""

    @nn.compact
    def __call__(self, s, x):
        decay = self.param("decay", nn.initializers.normal(1.0), (H,))
        angle = self.param("angle", nn.initializers.uniform(6.28), (H,))
        factor = jnp.exp(lax.complex(-jnp.exp(decay), angle))
        s = jnp.broadcast_to(factor, s.shape) * s + nn.Dense(H)(x).astype(jnp.complex64)
        return s, nn.Dense(H)(jnp.concatenate([s.real, s.imag], axis=-1))

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], H), jnp.complex64)


class Branching(_Cell):
    """Does one thing or another."""

    @nn.compact
    def __call__(self, h, x):
        z = nn.Dense(H)(jnp.concatenate([x, h], axis=-1))
        h = lax.cond(jnp.mean(h) > 0.01, jnp.tanh, jnp.sin, z)
        return h, h


class Sorting(_Cell):
    """Sorts its units."""

    @nn.compact
    def __call__(self, h, x):
        h = jnp.tanh(jnp.sort(nn.Dense(H)(jnp.concatenate([x, h], axis=-1)), axis=-1))
        return h, h


class Convolving(_Cell):
    """Convolves over its units."""

    @nn.compact
    def __call__(self, m, x):
        seen = jnp.concatenate([m, nn.Dense(H)(x)[..., None]], axis=-1)
        m = jnp.tanh(nn.Conv(2, (3,))(seen))
        return m, m.reshape(m.shape[0], -1)

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], H, 2))


class Half(_Cell):
    """Multiplies in bfloat16."""

    @nn.compact
    def __call__(self, h, x):
        z = nn.Dense(H, dtype=jnp.bfloat16)(jnp.concatenate([x, h], axis=-1))
        h = jnp.tanh(z.astype(jnp.float32))
        return h, h


class Fourier(_Cell):
    """Convolves in a circle, by Fourier transforms."""

    @nn.compact
    def __call__(self, h, x):
        both = jnp.fft.rfft(h) * jnp.fft.rfft(nn.Dense(H)(x))
        h = jnp.tanh(jnp.fft.irfft(both, n=H) + nn.Dense(H)(h))
        return h, h


class Deriving(_Cell):
    """Has a function of which there is no code."""

    @nn.compact
    def __call__(self, h, x):
        h = jnp.tanh(lax.digamma(nn.Dense(H)(jnp.concatenate([x, h], axis=-1)) ** 2 + 1.0))
        return h, h


COMPILED = (
    Normalised, Remembering, Sparse, Pondering, Deep, VeryDeep, Clockwork, Ordered, Rotating,
    Branching, Sorting, Convolving,
)  # fmt: skip
