"""A training loop in flax nnx, with ``nnx.RNN`` and with charrnn's ``RNN``, and their times."""

import pydoc
import time

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from charrnn_core import RNN

B, T, H, STEPS = 32, 64, 256, 30
text = pydoc.render_doc(str, renderer=pydoc.plaintext) * 20
symbols = sorted(set(text))
ids = jnp.array([symbols.index(symbol) for symbol in text])
V = len(symbols)


class Model(nnx.Module):
    def __init__(self, over_time, rngs):
        self.rnn = over_time(nnx.GRUCell(V, H, rngs=rngs))
        self.out = nnx.Linear(H, V, rngs=rngs)

    def __call__(self, inputs):
        return self.out(self.rnn(jax.nn.one_hot(inputs, V)))


def loss(model, inputs, targets):
    return optax.losses.softmax_cross_entropy_with_integer_labels(model(inputs), targets).mean()


@nnx.jit
def update(model, optimizer, start):
    window = ids[(start[:, None] + jnp.arange(T + 1)[None]) % len(ids)]
    nats, grads = nnx.value_and_grad(loss)(model, window[:, :-1], window[:, 1:])
    optimizer.update(model, grads)
    return nats


def seconds(over_time):
    model, best = Model(over_time, nnx.Rngs(0)), float("inf")
    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
    for step in range(STEPS):
        start = jax.random.randint(jax.random.key(step), (B,), 0, len(ids))
        began = time.perf_counter()
        nats = jax.block_until_ready(update(model, optimizer, start))
        best = min(best, time.perf_counter() - began)
    return best, float(nats)


found = {}
for name, over_time in {"nnx.RNN": nnx.RNN, "charrnn_core.RNN": RNN}.items():
    found[name], nats = seconds(over_time)
    print(
        f"{name:18} {1000 * found[name]:6.1f} ms per update, {nats:.3f} nats after {STEPS} updates"
    )
theirs, ours = found.values()
print(f"{theirs / ours:.2f} times as fast")
