"""Training speed compared with the teaching notebook that charrnn grew from.

    python benchmarks/notebook.py --source python-docs

Both sides train the same network on the same text: one-hot characters, Elman with H = 256, Adam at
1e-3, one stream, windows of 64 characters whose carry is passed on, and a new random stretch of
5,000 characters every epoch. The notebook does this in the usual way: one jitted call for the loss
and gradient of each window, the optimizer outside jit. charrnn runs ``--recipe notebook``.
The two take turns in one process, so that a busy machine slows both; compilation is not counted.
"""

import argparse
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from machine import machine, print_machine

from charrnn_core.cell import Params
from charrnn_core.events import Incident, Stepped
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.model import build_network
from charrnn_core.text.alphabet import Alphabet, Ids
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_corpus
from charrnn_core.training.batches import Subsequences
from charrnn_core.training.loop import TrainingLoop
from charrnn_core.training.policy import Budget, Policy
from charrnn_core.training.update import Trainer, TrainState

FOREVER = 10**9
LEARNING_RATE = 1e-3

Epoch = tuple[int, float]
"""The number of characters trained on, and their mean loss in nats."""


def notebook(ids: Ids, symbols: int, config: RunConfig) -> Iterator[Epoch]:
    """Run the notebook's training loop, one epoch per item.

    ``h' = tanh(W h + U x + b);  o = V h' + c``, the readout inside the scan's step. The last,
    shorter window of a stretch is skipped: it would compile a second program.
    """
    H = config.cell.options["features"]
    rng = np.random.default_rng(config.seed)

    def glorot(*shape: int) -> jax.Array:
        limit = np.sqrt(6 / sum(shape))
        return jnp.asarray(rng.uniform(-limit, limit, shape), jnp.float32)

    params = {
        "W": glorot(H, H),
        "U": glorot(symbols, H),
        "b": jnp.zeros(H),
        "V": glorot(H, symbols),
        "c": jnp.zeros(symbols),
    }
    optimizer = optax.adam(LEARNING_RATE)
    opt_state = optimizer.init(params)

    def loss(params: Any, h: jax.Array, xs: jax.Array, ys: jax.Array) -> Any:
        def step(h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
            h = jnp.tanh(h @ params["W"] + x @ params["U"] + params["b"])
            return h, h @ params["V"] + params["c"]

        h, logits = jax.lax.scan(step, h, xs)
        return optax.softmax_cross_entropy(logits, ys).mean(), h

    one_hot = np.eye(symbols, dtype=np.float32)
    loss_and_gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))

    while True:
        start = rng.integers(0, len(ids) - config.stretch)
        # One-hot on the host: slicing a device array would cost more than transferring the window.
        stretch = one_hot[ids[start : start + config.stretch + 1]]
        h, nats = jnp.zeros(H), []
        for i in range(0, config.stretch - config.window + 1, config.window):
            xs, ys = stretch[i : i + config.window], stretch[i + 1 : i + 1 + config.window]
            (mean, h), grads = loss_and_gradient(params, h, xs, ys)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            nats.append(mean)
        yield len(nats) * config.window, float(np.mean(jax.device_get(nats)))


class NoFiles:
    """A run without files: what the training loop asks, see `charrnn_core.training.host.Host`."""

    def evaluate(self, params: Params) -> None:
        return None

    def seconds_to_close(self, loop: LoopState, seconds_per_character: float) -> float:
        return 0.0

    def begin_updates(self) -> None:
        pass

    def sample(self, state: TrainState) -> str:
        return ""

    def save(self, state: TrainState, loop: LoopState) -> Path:
        return Path("nowhere")

    def roll_back(self, loop: LoopState) -> tuple[TrainState, LoopState]:
        raise RuntimeError("nothing was saved")

    def log_incident(self, incident: Incident) -> int:
        return 0

    def should_stop(self) -> bool:
        return False


def ours(ids: Ids, symbols: Alphabet, config: RunConfig, registry: Registry) -> Iterator[Epoch]:
    """Run charrnn's loop without evaluation, samples and checkpoints; one epoch per item."""
    make_optimizer = registry.load("optimizer", config.optimizer)
    optimizer_options = registry.options("optimizer", config.optimizer)
    loss = registry.load("loss", config.loss)(registry.options("loss", config.loss))
    trainer = Trainer(
        build_network(config, symbols, registry),
        loss,
        lambda total_steps: make_optimizer(optimizer_options, total_steps),
        streams=config.batch,
        total_steps=FOREVER,
        seed=config.seed,
    )
    training = TrainingLoop(
        trainer=trainer,
        state=trainer.init(),
        loop=LoopState(),
        batching=Subsequences(ids, config.stretch, config.window, config.seed),
        window=config.window,
        budget=Budget(steps=FOREVER, started=time.monotonic()),
        policy=Policy(eval_interval=FOREVER, sample_interval=FOREVER, save_seconds=math.inf),
        host=NoFiles(),
    )
    characters = 0
    for event in training.events():
        if isinstance(event, Stepped):
            yield event.characters - characters, event.train_nats_per_char
            characters = event.characters


def play(epochs: Iterator[Epoch], seconds: float) -> tuple[float, float]:
    """Run whole epochs for about this long; return characters per second and the mean loss."""
    began, characters, nats = time.perf_counter(), 0, 0.0
    while (elapsed := time.perf_counter() - began) < seconds:
        count, mean = next(epochs)
        characters += count
        nats += count * mean
    return characters / elapsed, nats / characters


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", default="python-docs", help="a source spec or a path")
    parser.add_argument("--rounds", type=int, default=5, help="turns per side (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.5, help="per turn (default: 2.5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()

    about = machine()
    registry = Registry.installed()
    config = RunConfig.read({"recipe": "notebook", "source": args.source}).resolve(registry)
    assert config.optimizer.options["learning_rate"] == LEARNING_RATE
    corpus = read_corpus(config.source, registry)
    alphabet = Alphabet.of(corpus.symbols)
    ids = encode_corpus(corpus, alphabet)
    config = dataclasses.replace(config, stretch=min(config.stretch, len(ids) - 2))
    sides = {
        "notebook": notebook(ids, len(alphabet), config),
        "charrnn": ours(ids, alphabet, config, registry),
    }
    for epochs in sides.values():
        play(epochs, 1.0)  # compiles
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, float] = {}
    for _ in range(args.rounds):
        for name, epochs in sides.items():
            speed, losses[name] = play(epochs, args.seconds)
            speeds[name].append(speed)

    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratio = medians["charrnn"] / medians["notebook"]
    if args.json:
        figures = {"characters_per_second": speeds, "medians": medians, "ratio": ratio}
        print(json.dumps({**about, "source": args.source, **figures, "last_nats_per_char": losses}))
        return
    print(f"{corpus.characters:,} characters of {args.source}, {len(alphabet)} symbols")
    print(f"{args.rounds} rounds of {args.seconds:g} s each, in turns; characters per second\n")
    print(f"{'':10}{'median':>10}{'least':>10}{'most':>10}{'last nats':>12}")
    for name, values in speeds.items():
        row = "".join(f"{value:>10,.0f}" for value in (medians[name], min(values), max(values)))
        print(f"{name:10}{row}{losses[name]:>12.3f}")
    print(f"\ncharrnn / notebook: {ratio:.2f}\n")
    print_machine(about)


if __name__ == "__main__":
    main()
