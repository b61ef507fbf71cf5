"""Large alphabets: the speed and the memory of writing with each sampler, and of training.

    python benchmarks/alphabets.py

For each size of the alphabet: 64 samples of an LSTM of 256 units with random weights and an
embedding of 64, by each sampler, then a training on a text of random symbols. Each is a process of
its own, whose largest memory is told; characters per second are of all streams together, the median
of some rounds. Ratios are to `temperature` in the same alphabet.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, print_machine

SAMPLERS = ("temperature:0.8", "top-p:0.9", "typical:0.9", "min-p:0.05", "top-k:40")
TRAINING = "training"
STREAMS, WIDTH = 64, 64


def _writing(symbols: int, sampler: str, length: int, rounds: int) -> float:
    """Return the characters per second of 64 samples."""
    import jax

    from charrnn_core.cell import as_cell
    from charrnn_core.network.network import Network
    from charrnn_core.registry.registry import Registry
    from charrnn_core.registry.spec import parse_refs
    from charrnn_core.sampling.chain import Chain
    from charrnn_core.sampling.draw import Generator

    registry, (cell,) = Registry.installed(), parse_refs("lstm:256")
    parts = [
        registry.load("sampler", ref)(registry.options("sampler", ref))
        for ref in parse_refs(sampler)
    ]
    network = Network(registry.build_cell(cell, as_cell), symbols, embedding=WIDTH)
    params = network.init(jax.random.key(0))
    generator, speeds = Generator(network, Chain(parts)), []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        for _ in generator(params, np.zeros(1, np.int32), length, jax.random.key(1), STREAMS):
            pass
        speeds.append(length * STREAMS / (time.perf_counter() - began))
    return statistics.median(speeds[1:])  # the first one compiles


def _training(symbols: int, characters: int) -> float:
    """Return the characters per second of a training by default, of the whole command."""
    from charrnn_core import RunConfig, train

    draw = np.random.default_rng(0)
    ids = np.concatenate([np.arange(symbols), draw.integers(0, symbols, 20 * symbols)])
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        text.write_text("".join(chr(0x4E00 + each) for each in ids), encoding="utf-8")
        config = RunConfig(source=str(text), characters=characters, observers=())
        began = time.perf_counter()
        train(config, note=lambda line: None)
        return characters / (time.perf_counter() - began)


def _measure(symbols: int, what: str, length: int, rounds: int) -> dict[str, Any]:
    from charrnn_core.devices import use_every_core

    use_every_core()
    if what == TRAINING:
        speed = _training(symbols, 400_000)
    else:
        speed = _writing(symbols, what, length, rounds)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"speed": speed, "megabytes": megabytes}


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--symbols", default="90,1000,6000,10000")
    parser.add_argument("--length", type=int, default=512, help="characters of each sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(_measure(int(args.one[0]), args.one[1], args.length, args.rounds)))
        return
    about = machine()
    print("| symbols | what | characters/s | time | memory, MB | memory |")
    print("|---|---|---|---|---|---|")
    for symbols in args.symbols.split(","):
        plain = None
        for what in (*SAMPLERS, TRAINING):
            command = [sys.executable, __file__, "--one", symbols, what]
            more = ["--length", str(args.length), "--rounds", str(args.rounds)]
            done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            plain = plain or found
            ratios = ["", ""]
            if what != TRAINING:
                ratios = [
                    f"{plain['speed'] / found['speed']:.2f}",
                    f"{found['megabytes'] / plain['megabytes']:.2f}",
                ]
            speed, megabytes = f"{found['speed']:,.0f}", f"{found['megabytes']:,.0f}"
            print(
                f"| {int(symbols):,} | {what} | {speed} | {ratios[0]} | {megabytes} "
                f"| {ratios[1]} |", flush=True,
            )  # fmt: skip
    print_machine(about)


if __name__ == "__main__":
    main()
