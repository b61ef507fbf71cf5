"""The task that every side of `unroll.py` trains on: random characters, read in streams."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SYMBOLS = 90
LEARNING_RATE = 1e-3
GATES = {"elman": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Task:
    """A network of `layers` cells on one-hot characters of V symbols, and its windows.

    Arguments:
        cell: elman, gru or lstm.
        hidden: H.
        layers: the number of cells in the stack.
        streams: B.
        window: T.
    """

    cell: str
    hidden: int
    layers: int
    streams: int
    window: int

    @property
    def updates(self) -> int:
        """Updates per turn."""
        return max(1, 2**16 // (self.streams * self.window))

    @property
    def flop_per_character(self) -> float:
        """The work the equations require: three passes over the products, with the input looked up.

        ``3 (sum over layers of 2 g H (H + D) + 2 H V)``, with D = 0 for the first layer.
        """
        layer = 2 * GATES[self.cell] * self.hidden**2
        return 3 * (layer * (2 * self.layers - 1) + 2 * self.hidden * SYMBOLS)

    def ids(self) -> npt.NDArray[np.int32]:
        """Return the text of a turn."""
        count = self.updates * self.streams * self.window + 1
        return np.random.default_rng(0).integers(SYMBOLS, size=count).astype(np.int32)

    def timed(self, run: Callable[[], object], least: float = 0.4) -> Callable[[], float]:
        """Return a function that calls `run` for at least this many seconds: characters/s."""
        characters = self.updates * self.streams * self.window

        def play() -> float:
            began, runs = time.perf_counter(), 0
            while (elapsed := time.perf_counter() - began) < least or not runs:
                run()
                runs += 1
            return runs * characters / elapsed

        run()
        play()
        return play

    def arguments(self) -> list[str]:
        """Return the task as command-line arguments for `read`."""
        numbers = (self.hidden, self.layers, self.streams, self.window)
        return [self.cell, *map(str, numbers)]

    @staticmethod
    def read(arguments: list[str]) -> "Task":
        parser = argparse.ArgumentParser()
        parser.add_argument("cell", choices=list(GATES))
        for name in ("hidden", "layers", "streams", "window"):
            parser.add_argument(name, type=int)
        return Task(**vars(parser.parse_args(arguments)))
