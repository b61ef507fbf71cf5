"""A training loop in flax nnx, with ``nnx.RNN`` and with charrnn's ``RNN``, and their times."""

import pydoc
import statistics
import time

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from charrnn_core import RNN

B, T, H, STEPS = 32, 64, 128, 30
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


class Loop:
    def __init__(self, over_time):
        model = Model(over_time, nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
        self.update, self.times = nnx.cached_partial(update, model, optimizer), []

    def step(self, start):
        began = time.perf_counter()
        self.nats = jax.block_until_ready(self.update(start))
        self.times.append(time.perf_counter() - began)


loops = {"nnx.RNN": Loop(nnx.RNN), "charrnn_core.RNN": Loop(RNN)}
for step in range(STEPS):
    start = jax.random.randint(jax.random.key(step), (B,), 0, len(ids))
    for loop in loops.values():  # in turn, so that a slow moment of the machine meets both
        loop.step(start)

middle = {name: 1000 * statistics.median(loop.times[1:]) for name, loop in loops.items()}
for name, loop in loops.items():
    print(f"{name:18} {middle[name]:6.1f} ms per update, {loop.nats:.3f} nats after {STEPS}")
print(f"{middle['nnx.RNN'] / middle['charrnn_core.RNN']:.2f} times as fast")
