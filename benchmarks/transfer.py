"""Does a training learn sooner from another run's parameters than from random ones?

    python benchmarks/texts.py --out TEXTS
    python benchmarks/transfer.py TEXTS/tiny-shakespeare.txt:TEXTS/book-520.txt \
        TEXTS/austen.txt:TEXTS/german.txt TEXTS/python-docs.txt:TEXTS/stdlib.txt

For every pair of texts a model learns the first one, and two learn the second: one from scratch,
one from its parameters (``run --init-from``). Both have the same settings, seed and batches. The
figures are losses on the whole held-out part of the second text after so many updates, and the
loss on that of the first one before and after. Networks are alone, without counts of a text.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charrnn_core import RunConfig, Trained, evaluate, load, resume, train
from charrnn_core.devices import use_every_core

use_every_core()

from machine import machine, print_machine  # noqa: E402 - jax reads the number of devices once

from charrnn_core.training.setup import prepare  # noqa: E402


def silent(line: str) -> None:
    """Take a note."""
    del line


class Curve:
    """The held-out loss of a training at its start and after every so many updates.

    Arguments:
        config: what to train.
        updates, every: how many updates, and after how many of them to evaluate.
        out: the run directory.
    """

    def __init__(self, config: RunConfig, updates: int, every: int, out: Path) -> None:
        steps = prepare(config.resolve()).batching.steps_per_epoch
        config = dataclasses.replace(config, epochs=updates / steps, eval_every=every / steps)
        train(config, out=out, stop=lambda: True, note=silent)
        self.nats = {0: evaluate(load(out, last=True, note=silent), baselines=False).nats_per_char}
        self.trained: Trained = resume(out, note=silent)
        for file in sorted((out / "checkpoints").glob("step-*.crn")):
            model = load(file)
            if step := model.table["step"]:
                self.nats[step] = evaluate(model, baselines=False).nats_per_char


def cut(text: Path, most: int, folder: Path) -> Path:
    """Write the first characters of a text into a file."""
    file = folder / text.name
    file.write_text(text.read_text("utf-8")[:most], "utf-8")
    return file


def compared(first: Path, second: Path, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train on the first text, then on the second from that and from scratch."""
    old, new = (cut(text, args.most, folder) for text in (first, second))
    settings: dict[str, Any] = {"cell": args.cell, "context": args.context, "counts": 0}
    settings |= {"observers": (), "seed": args.seed}
    source = RunConfig(source=str(old), characters=args.characters, **settings)
    train(source, out=folder / "first", note=silent)
    scratch = RunConfig(source=str(new), keep_every=1, patience=0, **settings)
    known = set(load(folder / "first").alphabet.symbols)
    symbols = set(new.read_text("utf-8"))
    curves = {}
    for name, origin in (("scratch", None), ("from the first", str(folder / "first"))):
        config = dataclasses.replace(scratch, init_from=origin)
        curves[name] = Curve(config, args.updates, args.every, folder / name)
    held_out = curves["from the first"].trained.held_out
    assert held_out is not None and held_out.forgetting is not None
    return {
        "first": first.stem,
        "second": second.stem,
        "known": len(symbols & known),
        "symbols": len(symbols),
        **{name: curve.nats for name, curve in curves.items()},
        "old text": [
            held_out.forgetting.before.nats_per_char,
            held_out.forgetting.after.nats_per_char,
        ],
    }


def rows(results: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table."""
    steps = sorted({step for result in results for step in result["scratch"]})
    yield f"| texts | known | start | {' | '.join(map(str, steps))} | old text |"
    yield "|---" * (len(steps) + 4) + "|"
    for result in results:
        texts, (before, after) = f"{result['first']} to {result['second']}", result["old text"]
        known = f"{result['known']} of {result['symbols']}"
        for name, forgot in (("scratch", ""), ("from the first", f"{before:.3f} to {after:.3f}")):
            nats = " | ".join(f"{result[name][step]:.3f}" for step in steps)
            yield f"| {texts} | {known} | {name} | {nats} | {forgot} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="FIRST:SECOND", help="two files of text")
    parser.add_argument("--cell", default="lstm:128")
    parser.add_argument("--context", type=int, default=0)
    parser.add_argument("--characters", type=int, default=3_000_000, help="read of the first text")
    parser.add_argument("--most", type=int, default=1_000_000, help="characters of a text")
    parser.add_argument("--updates", type=int, default=200, help="on the second text")
    parser.add_argument("--every", type=int, default=50, help="updates between evaluations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one object for each pair")
    arguments = parser.parse_args()
    about, found = machine(), list[dict[str, Any]]()
    for pair in arguments.pairs:
        first, _, second = pair.partition(":")
        with tempfile.TemporaryDirectory() as directory:
            found.append(compared(Path(first), Path(second), arguments, Path(directory)))
        if arguments.json:
            print(json.dumps(found[-1]), flush=True)
    if not arguments.json:
        print("\n".join(rows(found)))
        print_machine(about)
