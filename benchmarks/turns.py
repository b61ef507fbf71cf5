"""Sides that take turns, each in its own process, so that a busy machine slows all of them alike.

A side's process compiles, answers each request for a turn with a speed, and sleeps in between.
Processes keep the sides' thread pools and settings apart.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median


def serve(play: Callable[[], float]) -> None:
    """Serve a side: for each line on standard input take a turn, and print its speed."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(play(), flush=True)


@contextmanager
def _process(arguments: Sequence[str]) -> Iterator[Callable[[], float]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def turn() -> float:
        requests.write("go\n")
        requests.flush()
        answer = answers.readline()
        if not answer:
            raise SystemExit(f"{' '.join(arguments)} ended early; its message is above")
        return float(answer)

    try:
        if answers.readline().strip() != "ready":
            raise SystemExit(f"{' '.join(arguments)} could not start; its message is above")
        yield turn
    finally:
        requests.close()
        process.wait()


def take_turns(sides: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """Let the sides take turns; return their speeds by name, one for each round.

    Arguments:
        sides: by name, the arguments of the Python process that calls `serve`.
        rounds: the number of turns for each side.
    """
    with ExitStack() as stack:
        turns = {name: stack.enter_context(_process(a)) for name, a in sides.items()}
        speeds: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(rounds):
            for name, turn in turns.items():
                speeds[name].append(turn())
    return speeds


def medians(speeds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of every side."""
    return {name: median(values) for name, values in speeds.items()}
