"""Sampling speed after compilation, in characters per second of all streams together.

    python benchmarks/sampling.py

An Elman network on one-hot characters of 90 symbols with random weights, at temperature 1.
"""

import argparse
import json
import statistics
import time

from machine import machine, print_machine

from charrnn_core.devices import use_every_core

use_every_core()

import jax  # noqa: E402  # after the cores are set
import numpy as np  # noqa: E402

from charrnn_core.cell import as_cell  # noqa: E402
from charrnn_core.network.network import Network  # noqa: E402
from charrnn_core.registry.registry import Registry  # noqa: E402
from charrnn_core.registry.spec import parse_refs  # noqa: E402
from charrnn_core.sampling.chain import Chain  # noqa: E402
from charrnn_core.sampling.draw import Generator  # noqa: E402

SYMBOLS = 90


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cell", default="elman:256", help="a cell spec (default: elman:256)")
    parser.add_argument("--streams", default="1,64", help="numbers of streams (default: 1,64)")
    parser.add_argument("--length", type=int, default=2**15, help="characters of each stream")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    args = parser.parse_args()
    about = machine()
    registry = Registry.installed()
    sampler = Chain(
        [
            registry.load("sampler", ref)(registry.options("sampler", ref))
            for ref in parse_refs("temperature:1.0")
        ]
    )
    (cell,) = parse_refs(args.cell)
    networks = {
        mode: Network(registry.build_cell(cell, as_cell), SYMBOLS, unroll_mode=mode)
        for mode in ("auto", "scan")
    }
    params = networks["auto"].init(jax.random.key(0))
    prompt = np.zeros(1, np.int32)
    generators = {mode: Generator(net, sampler) for mode, net in networks.items()}

    def speed(mode: str, streams: int, length: int) -> float:
        began = time.perf_counter()
        for _ in generators[mode](params, prompt, length, jax.random.key(1), streams):
            pass
        return length * streams / (time.perf_counter() - began)

    if not args.json:
        print("| streams | characters/s | plain step | ratio | twice the length takes |")
        print("|---|---|---|---|---|")
    for streams in map(int, args.streams.split(",")):
        length = args.length // min(streams, 16)
        for mode in networks:
            speed(mode, streams, length)
        speeds = {"auto": [], "scan": [], "twice": []}
        for _ in range(args.rounds):
            speeds["auto"].append(speed("auto", streams, length))
            speeds["scan"].append(speed("scan", streams, length))
            speeds["twice"].append(speed("auto", streams, 2 * length))
        fast, plain, twice = (statistics.median(values) for values in speeds.values())
        if args.json:
            print(json.dumps({"cell": args.cell, "streams": streams, "speeds": speeds}))
        else:
            times = f"{2 * fast / twice:.2f} times"
            print(f"| {streams} | {fast:,.0f} | {plain:,.0f} | {fast / plain:.2f} | {times} |")
    print_machine(about)


if __name__ == "__main__":
    main()
