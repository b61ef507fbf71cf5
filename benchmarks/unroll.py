"""The unroll engine against a plain ``lax.scan``: whole training updates of the same step.

    python benchmarks/unroll.py

Networks of 256 units on one-hot characters of 90 symbols, windows of 64, Adam, on every core. The
two sides differ in ``unroll_mode`` alone and take turns in one process; compilation is not counted.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from charrnn_core.devices import use_every_core

use_every_core()

import flax.linen as nn  # noqa: E402  # jax has to see the cores first
import jax  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from charrnn_core.batches import Streams, stack_batches  # noqa: E402
from charrnn_core.cell import as_cell  # noqa: E402
from charrnn_core.network import Network  # noqa: E402
from charrnn_core.registry import Registry  # noqa: E402
from charrnn_core.spec import Ref  # noqa: E402
from charrnn_core.training import Trainer, data_mesh  # noqa: E402

H, T, V = 256, 64, 90


def updates(cell: Any, streams: int, mode: str) -> Callable[[], float]:
    """A function that makes some updates and gives their speed in characters per second."""
    registry = Registry.installed()
    loss = registry.load("loss", Ref("crossentropy"))(None)
    network = Network(as_cell(cell), symbols=V, unroll_mode=mode)
    trainer = Trainer(network, loss, lambda total: optax.adam(1e-3), streams, total_steps=10**6)
    room = max(1, 2**14 // (streams * T))
    ids = np.random.default_rng(0).integers(V, size=room * streams * T + 1).astype(np.int32)
    batches = stack_batches(Streams(ids, streams, T), 0, room, room)
    held = [trainer.init(jax.random.key(0))]
    advance = trainer.compile(held[0], room, T)

    def play() -> float:
        began = time.perf_counter()
        state, nats = advance(held.pop(), batches, np.int32(room), np.int32(10**6))
        np.asarray(nats)
        held.append(state)
        return room * streams * T / (time.perf_counter() - began)

    play()
    return play


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns per side (default: 9)")
    rounds = parser.parse_args().rounds
    elman = Registry.installed().build_cell(Ref("elman", str(H)), as_cell)
    cells = {"Elman": elman, "GRU": nn.GRUCell(H), "LSTM": nn.LSTMCell(H)}
    load = os.getloadavg()[0]
    print(
        "| cell | streams | devices | scan, characters/s | engine, characters/s | engine / scan |"
    )
    print("|---|---|---|---|---|---|")
    for name, cell in cells.items():
        for streams in (1, 16, 32, 128):
            sides = [updates(cell, streams, mode) for mode in ("scan", "engine")]
            speeds = [[side() for side in sides] for _ in range(rounds)]
            scan, engine = (statistics.median(side) for side in zip(*speeds, strict=True))
            devices = data_mesh(streams).size
            row = f"{scan:,.0f} | {engine:,.0f} | {engine / scan:.2f}"
            print(f"| {name} | {streams} | {devices} | {row} |", flush=True)
    packages = ", ".join(f"{p} {version(p)}" for p in ("jax", "flax", "optax", "numpy"))
    print(f"\n{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load {load:.2f}")
    print(f"Python {platform.python_version()}, {packages}, {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
