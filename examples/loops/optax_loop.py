"""A training loop in plain optax, with ``lax.scan`` and charrnn's ``scan``, and their times."""

import pydoc
import statistics
import time

import jax
import jax.numpy as jnp
import optax

from charrnn_core import scan

B, T, H, STEPS = 32, 64, 128, 30
text = pydoc.render_doc(str, renderer=pydoc.plaintext) * 20
symbols = sorted(set(text))
ids = jnp.array([symbols.index(symbol) for symbol in text])
V = len(symbols)


def init(key):
    shapes = {"U": (V, 3 * H), "W": (H, 3 * H), "out": (H, V)}
    draw = jax.nn.initializers.glorot_uniform()
    keys = jax.random.split(key, len(shapes))
    return {n: draw(k, s) for k, (n, s) in zip(keys, shapes.items(), strict=True)}


def loss(params, inputs, targets, over_time):
    def gru(h, i):
        x, old = params["U"][i], h @ params["W"]
        r, z = jnp.split(jax.nn.sigmoid(x[:, : 2 * H] + old[:, : 2 * H]), 2, axis=1)
        h = (1 - z) * jnp.tanh(x[:, 2 * H :] + r * old[:, 2 * H :]) + z * h
        return h, h @ params["out"]

    _, logits = over_time(gru, jnp.zeros((B, H)), inputs)
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


class Loop:
    def __init__(self, over_time):
        self.optimizer = optax.adam(3e-3)
        self.params = init(jax.random.key(0))
        self.state, self.times = self.optimizer.init(self.params), []

        @jax.jit
        def update(params, state, start):
            window = ids[(start[None] + jnp.arange(T + 1)[:, None]) % len(ids)]
            nats, grads = jax.value_and_grad(loss)(params, window[:-1], window[1:], over_time)
            changes, state = self.optimizer.update(grads, state)
            return optax.apply_updates(params, changes), state, nats

        self.update = update

    def step(self, start):
        began = time.perf_counter()
        updated = jax.block_until_ready(self.update(self.params, self.state, start))
        self.times.append(time.perf_counter() - began)
        self.params, self.state, self.nats = updated


loops = {"lax.scan": Loop(jax.lax.scan), "charrnn_core.scan": Loop(scan)}
for step in range(STEPS):
    start = jax.random.randint(jax.random.key(step), (B,), 0, len(ids))
    for loop in loops.values():  # in turn, so that a slow moment of the machine meets both
        loop.step(start)

middle = {name: 1000 * statistics.median(loop.times[1:]) for name, loop in loops.items()}
for name, loop in loops.items():
    print(f"{name:18} {middle[name]:6.1f} ms per update, {loop.nats:.3f} nats after {STEPS}")
print(f"{middle['lax.scan'] / middle['charrnn_core.scan']:.2f} times as fast")
