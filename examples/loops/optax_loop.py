"""A training loop in plain optax, with ``lax.scan`` and charrnn's ``scan``, and their times."""

import pydoc
import time

import jax
import jax.numpy as jnp
import optax

from charrnn_core import scan

B, T, H, STEPS = 32, 64, 256, 30
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


def seconds(over_time):
    optimizer = optax.adam(3e-3)
    params = init(jax.random.key(0))

    @jax.jit
    def update(params, state, start):
        window = ids[(start[None] + jnp.arange(T + 1)[:, None]) % len(ids)]
        nats, grads = jax.value_and_grad(loss)(params, window[:-1], window[1:], over_time)
        changes, state = optimizer.update(grads, state)
        return optax.apply_updates(params, changes), state, nats

    state, best = optimizer.init(params), float("inf")
    for step in range(STEPS):
        start = jax.random.randint(jax.random.key(step), (B,), 0, len(ids))
        began = time.perf_counter()
        params, state, nats = jax.block_until_ready(update(params, state, start))
        best = min(best, time.perf_counter() - began)
    return best, float(nats)


found = {}
for name, over_time in {"lax.scan": jax.lax.scan, "charrnn_core.scan": scan}.items():
    found[name], nats = seconds(over_time)
    print(
        f"{name:18} {1000 * found[name]:6.1f} ms per update, {nats:.3f} nats after {STEPS} updates"
    )
theirs, ours = found.values()
print(f"{theirs / ours:.2f} times as fast")
