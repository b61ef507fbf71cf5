"""Is a tuning worth its time, and how much of it is spent on training?

    python benchmarks/texts.py --out TEXTS
    python benchmarks/tuning.py TEXTS/book-520.txt TEXTS/tiny-shakespeare.txt \
        TEXTS/austen.txt TEXTS/stdlib.txt --seeds 0 1 2 --out RUNS

For every text and seed: ``charrnn run`` with its defaults, ``charrnn tune --budget 20m``, and the
held-out loss of both runs' models, of the same characters (`charrnn eval`). The machine has to be
quiet: a budget in minutes is what a quiet machine does in them. What is in `--out` is not measured
twice, so the command can be interrupted, and asked for a part.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import machine, print_machine

CHARRNN = [sys.executable, "-m", "charrnn_core"]


def charrnn(*words: object) -> str:
    """Run a command of charrnn and return what it prints."""
    command = [*CHARRNN, *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def timed(*words: object) -> tuple[str, float]:
    """Run a command of charrnn; return what it prints, and its seconds."""
    began = time.monotonic()
    return charrnn(*words), time.monotonic() - began


def held_out(run: Path) -> float:
    """Return the loss of a run's model on its held-out text, in nats per character."""
    return json.loads(charrnn("eval", run, "--json"))["nats_per_char"]


def measured(text: Path, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train with the defaults, tune, and evaluate both; or read what was measured before."""
    folder = args.out / f"{text.stem}-{args.budget}-{seed}"
    if (result := folder / "result.json").exists():
        return json.loads(result.read_text())
    common = ("--source", f"file:{text}", "--seed", seed)
    _, default_seconds = timed("run", *common, *args.run, "--out", folder / "default", "--quiet")
    tuned = folder / "tuned"
    options = ("--budget", args.budget, *args.tune, "--out", tuned, "--json")
    printed, seconds = timed("tune", *common, *options)
    found = json.loads(printed)
    rungs = [rung for trial in found["trials"] for rung in trial["rungs"]]
    trainings = sum(rung["seconds"] for rung in rungs) + found["cooled"]["seconds"]
    updating = sum(trial["rungs"][-1]["updating"] for trial in found["trials"])
    last = next(trial for trial in found["trials"] if trial["trial"] == found["winner"])
    updating += found["cooled"]["updating"] - last["rungs"][-1]["updating"]
    table = {
        "text": text.stem,
        "seed": seed,
        "default": held_out(folder / "default"),
        "tuned": held_out(tuned / "trials" / f"{found['winner']:03d}"),
        "default seconds": default_seconds,
        "seconds": seconds,
        "trainings": trainings / seconds,
        "updates": updating / seconds,
        "winner": last["settings"],
    }
    result.write_text(json.dumps(table, indent=1))
    return table


def rows(results: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table."""
    names = ("text", "seed", "default", "s", "tuned", "s", "lower by", "in trainings", "in updates")
    yield f"| {' | '.join(names)} | winner |"
    yield "|---" * (len(names) + 1) + "|"
    for its in results:
        winner = ", ".join(f"{name} {value}" for name, value in its["winner"].items())
        yield (
            f"| {its['text']} | {its['seed']} | {its['default']:.4f} | {its['default seconds']:.0f}"
            f" | {its['tuned']:.4f} | {its['seconds']:.0f} | {its['default'] - its['tuned']:+.4f} "
            f"| {its['trainings']:.1%} | {its['updates']:.1%} | {winner} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--budget", default="20m", help="of a tuning, as charrnn tune has it")
    parser.add_argument("--out", type=Path, default=Path("tunings"), help="where it is kept")
    parser.add_argument("--run", type=shlex.split, default=[], help="options for charrnn run")
    parser.add_argument("--tune", type=shlex.split, default=[], help="options for charrnn tune")
    parser.add_argument("--json", action="store_true", help="one object for each text and seed")
    arguments = parser.parse_args()
    about, found = machine(), list[dict[str, Any]]()
    for each in arguments.texts:
        for seed in arguments.seeds:
            found.append(measured(each, seed, arguments))
            if arguments.json:
                print(json.dumps(found[-1]), flush=True)
    if not arguments.json:
        print("\n".join(rows(found)))
        print_machine(about)
