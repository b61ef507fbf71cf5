"""The unroll engine compared with other unrolls: whole training updates of the same network.

    python benchmarks/unroll.py --cells lstm --streams 32

One-hot characters of 90 symbols, windows of 64, a readout, Adam. Every side has all cores and its
own process; the sides take turns, and compilation is not counted.
"""

import argparse
import json
from pathlib import Path

from machine import machine, print_machine
from task import GATES, Task
from turns import medians, take_turns

HERE = Path(__file__).parent
SIDES = {
    "engine": "jax_side.py",
    "scan": "jax_side.py",
    "linen": "jax_side.py",
    "nnx": "jax_side.py",
    "torch": "torch_side.py",
}
EXTRA = {"sharded-scan": "jax_side.py"}


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    listed = lambda text: text.split(",")  # noqa: E731
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--cells", type=listed, default=list(GATES))
    parser.add_argument("--streams", type=numbers, default=[1, 16, 32, 64, 128])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--sides", type=listed, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=7, help="turns per side (default: 7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    args = parser.parse_args()
    about = machine()
    peak = medians(take_turns({"peak": [str(HERE / "peak.py")]}, 5))["peak"]
    first, *others = args.sides
    head = ["cell", "H", "streams", *(f"{s}, characters/s" for s in args.sides)]
    head += [f"{first} / {other}" for other in others]
    head += [f"{first}, GFLOP/s", "of the peak"]
    if not args.json:
        print(" | ".join(["", *head, ""]).strip())
        print("|" + "---|" * len(head))
    for cell in args.cells:
        for streams in args.streams:
            task = Task(cell, args.hidden, args.layers, streams, args.window)
            sides = {
                side: [str(HERE / (SIDES | EXTRA)[side]), side, *task.arguments()]
                for side in args.sides
            }
            speeds = take_turns(sides, args.rounds)
            speed = medians(speeds)
            rate = speed[first] * task.flop_per_character / 1e9
            if args.json:
                print(json.dumps({**vars(task), "speeds": speeds, "gflops": rate, "peak": peak}))
                continue
            name = cell if args.layers == 1 else f"{args.layers} x {cell}"
            row = [name, str(args.hidden), str(streams)]
            row += [f"{speed[side]:,.0f}" for side in args.sides]
            row += [f"{speed[first] / speed[other]:.2f}" for other in others]
            row += [f"{rate:.0f}", f"{rate / peak:.0%}"]
            print("| " + " | ".join(row) + " |", flush=True)
    print(f"\npeak of a float32 matrix product: {peak:.0f} GFLOP/s")
    print_machine(about)


if __name__ == "__main__":
    main()
