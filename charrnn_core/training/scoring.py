"""Scoring texts by many processes: the leader has the text, all have the model and a part to read.

The leader evaluates as it would alone. Whenever it scores a text, it tells the others what to
score, and all do so on the devices of all; else they wait. So nothing but the leader needs the run,
the text, or a place to write.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from charrnn_core.cell import Params
from charrnn_core.evaluation.scoring import STREAMS, Nats, Scorer
from charrnn_core.files.atomic import explained, write_atomically
from charrnn_core.files.regular import named
from charrnn_core.network.counts import COUNTS, without_counts
from charrnn_core.network.mesh import fitting_shards
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.model import Model, load, restore_model
from charrnn_core.runs.opening import open_model
from charrnn_core.terminal import to_stderr
from charrnn_core.text.split import Piece
from charrnn_core.training.together import Together

_BLOCK = 1 << 24
"""Bytes of a text that are passed at once."""


@contextlib.contextmanager
def model_of_all(
    together: Together, run: Path, streams: int | None, last: bool
) -> Iterator[Model | None]:
    """Load a run in the process that leads; in the block, its model scores on the devices of all.

    In the others the block begins when that of the leader has ended, with None.

    Arguments:
        together: the processes.
        run: the run directory or file, which only the leader needs.
        streams: how many stretches to read in parallel, as for `evaluate` and `score`.
        last: load the last model instead of the best.
    """
    together.share(None)
    if not together.leads:
        _SharedScorer(together, _model_of_leader(together), streams).take_part()
        yield None
        return
    opened = open_model(run, to_stderr, last)
    together.told(opened.path.name.encode())
    with explained("read", opened.path), open(opened.path, "rb", opener=named) as file:
        together.told(file.read())
    model = restore_model(opened, Registry.installed())
    scorer = _SharedScorer(together, model, streams)
    model.programs.get(("score", streams), lambda: scorer)
    yield model
    together.told(json.dumps(None).encode())


def _model_of_leader(together: Together) -> Model:
    with tempfile.TemporaryDirectory(prefix="charrnn-") as folder:
        path = Path(folder, together.told(None).decode())
        write_atomically(path, [together.told(None)])
        return load(path)


class _SharedScorer:
    """A `Scorer` on the devices of all processes, which score what the leader does."""

    def __init__(self, together: Together, model: Model, streams: int | None) -> None:
        devices = jax.devices()
        least = min(
            sum(device.process_index == process for device in devices)
            for process in range(jax.process_count())
        )
        shards = fitting_shards(STREAMS, least * jax.process_count(), jax.process_count())
        self._together, self._model = together, model
        self._score = Scorer(model.network, streams=streams, shards=shards)

    def __call__(self, params: Params, pieces: Sequence[Piece]) -> Iterator[Nats]:
        """Yield the nats of every character, in the process that leads."""
        self._announce("nats", params, pieces)
        return self._score(params, pieces)

    def log_p(self, params: Params, pieces: Sequence[Piece]) -> Iterator[Nats]:
        """Yield the log-probabilities of all symbols, in the process that leads."""
        self._announce("log_p", params, pieces)
        return self._score.log_p(params, pieces)

    def take_part(self) -> None:
        """Score what the leader scores, until it has nothing left."""
        told, params = self._together.told, self._model.params
        while (task := json.loads(told(None))) is not None:
            pieces = [
                Piece(before, np.frombuffer(b"".join(told(None) for _ in range(blocks)), dtype))
                for before, blocks, dtype in task["pieces"]
            ]
            chosen = params if task["counts"] else without_counts(params)
            score = self._score if task["measure"] == "nats" else self._score.log_p
            for _ in score(chosen, pieces):
                pass

    def _announce(self, measure: str, params: Params, pieces: Sequence[Piece]) -> None:
        blocks = [_blocks(piece) for piece in pieces]
        about = [
            (int(piece.before), len(some), piece.ids.dtype.str)
            for piece, some in zip(pieces, blocks, strict=True)
        ]
        task = {"measure": measure, "counts": COUNTS in params, "pieces": about}
        self._together.told(json.dumps(task).encode())
        for some in blocks:
            for block in some:
                self._together.told(block.tobytes())


def _blocks(piece: Piece) -> list[np.ndarray]:
    """Return the ids of a piece, cut into blocks."""
    length = max(1, _BLOCK // piece.ids.dtype.itemsize)
    return [piece.ids[start : start + length] for start in range(0, len(piece.ids), length)]
