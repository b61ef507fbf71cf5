"""A side of `unroll.py` in JAX: ``python jax_side.py engine|scan|linen|nnx CELL H LAYERS B T``.

All train with charrnn's update loop and differ in how they unroll the cell: charrnn's engine on
every core, and ``lax.scan``, flax's ``linen.RNN`` and ``nnx.RNN`` with jax's default settings.
"""

import sys
from typing import Any

from charrnn_core.devices import use_every_core

SIDE = sys.argv[1]
if SIDE in ("engine", "sharded-scan"):
    use_every_core()

import jax  # noqa: E402  # after the cores are set
import numpy as np  # noqa: E402
import optax  # noqa: E402
from flax import linen, nnx  # noqa: E402
from task import LEARNING_RATE, SYMBOLS, Task  # noqa: E402
from turns import serve  # noqa: E402

from charrnn_core.cell import as_cell  # noqa: E402
from charrnn_core.network.mesh import fitting_shards  # noqa: E402
from charrnn_core.network.network import Network  # noqa: E402
from charrnn_core.registry.registry import Registry  # noqa: E402
from charrnn_core.registry.spec import Ref  # noqa: E402
from charrnn_core.training.batches import Streams, stack_batches  # noqa: E402
from charrnn_core.training.update import Trainer  # noqa: E402

LINEN = {"elman": linen.SimpleCell, "gru": linen.GRUCell, "lstm": linen.OptimizedLSTMCell}
NNX = {"elman": nnx.SimpleCell, "gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}


class Stack:
    """A stack of equal cells as a Cell: layer i reads the output of layer i - 1."""

    def __init__(self, task: Task) -> None:
        self.cells = [as_cell(LINEN[task.cell](task.hidden)) for _ in range(task.layers)]
        self.hidden = task.hidden

    def init(self, key: jax.Array, in_features: int) -> Any:
        widths = [in_features, *[self.hidden] * (len(self.cells) - 1)]
        keys = jax.random.split(key, len(self.cells))
        return [c.init(k, w) for c, k, w in zip(self.cells, keys, widths, strict=True)]

    def initial_carry(self, params: Any, input_shape: tuple[int, int]) -> Any:
        return [c.initial_carry(p, input_shape) for c, p in zip(self.cells, params, strict=True)]

    def step(self, params: Any, carry: Any, x: jax.Array) -> Any:
        after = []
        for cell, p, c in zip(self.cells, params, carry, strict=True):
            c, x = cell.step(p, c, x)
            after.append(c)
        return after, x


class LinenNetwork(Network):
    """A network that unrolls every cell with ``linen.RNN``."""

    def unroll(
        self,
        params: Any,
        carry: Any,
        inputs: Any,
        reset: Any = None,
        key: Any = None,
        lookup: Any = None,
    ) -> Any:
        stack: Any = self.cell
        x, after = self._inputs(params, inputs), []
        for cell, p, c in zip(stack.cells, params["cell"], carry, strict=True):
            rnn: Any = linen.RNN(cell.module, time_major=True, return_carry=True)
            c, x = rnn.apply({"params": {"cell": p}}, x, initial_carry=c)
            after.append(c)
        return self.read_out(params, x), after

    def _inputs(self, params: Any, inputs: jax.Array) -> jax.Array:
        return jax.nn.one_hot(inputs, self.symbols)


class NnxNetwork(LinenNetwork):
    """A network that unrolls every cell with ``nnx.RNN``."""

    def unroll(
        self,
        params: Any,
        carry: Any,
        inputs: Any,
        reset: Any = None,
        key: Any = None,
        lookup: Any = None,
    ) -> Any:
        stack: Any = self.cell
        x, after = self._inputs(params, inputs), []
        for cell, p, c in zip(stack.cells, params["cell"], carry, strict=True):
            graph, state = nnx.split(cell.make(x.shape[-1], rngs=nnx.Rngs(0)))
            nnx.replace_by_pure_dict(state, p)
            rnn: Any = nnx.RNN(nnx.merge(graph, state), time_major=True, return_carry=True)
            c, x = rnn(x, initial_carry=c)
            after.append(c)
        return self.read_out(params, x), after


class NnxStack(Stack):
    def __init__(self, task: Task) -> None:
        self.hidden = task.hidden
        kind: Any = NNX[task.cell]
        make = lambda width, rngs: kind(width, task.hidden, rngs=rngs)  # noqa: E731
        self.cells = [as_cell(make) for _ in range(task.layers)]


def build(side: str, task: Task) -> Network:
    """Build the network of a side."""
    if side == "linen":
        return LinenNetwork(Stack(task), SYMBOLS)
    if side == "nnx":
        return NnxNetwork(NnxStack(task), SYMBOLS)
    return Network(Stack(task), SYMBOLS, unroll_mode="engine" if side == "engine" else "scan")


def main() -> None:
    task = Task.read(sys.argv[2:])
    loss = Registry.installed().load("loss", Ref("crossentropy"))(None)
    trainer = Trainer(
        build(SIDE, task),
        loss,
        lambda total: optax.adam(LEARNING_RATE),
        task.streams,
        shards=fitting_shards(task.streams, len(jax.devices())),
        total_steps=10**6,
    )
    room = task.updates
    batches = stack_batches(Streams(task.ids(), task.streams, task.window), 0, room, room)
    held = [trainer.init()]
    advance = trainer.compile(room, task.window)

    def run() -> None:
        state, nats = advance(held.pop(), batches, np.int32(room), np.int32(10**6))
        jax.block_until_ready(nats)
        held.append(state)

    serve(task.timed(run))


if __name__ == "__main__":
    main()
