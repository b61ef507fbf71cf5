"""What is found out about a model and a text before a page is made of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.inspection.dependence import dependence
from charrnn_core.inspection.features import features
from charrnn_core.inspection.gates import GateUse, gate_uses
from charrnn_core.inspection.probe import probe
from charrnn_core.inspection.ranking import best_by_chance, correlations
from charrnn_core.inspection.reading import ReadText, read_text
from charrnn_core.runs.model import Model
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.split import Piece, first_characters

BEST = 5
"""How many units are named for a feature."""

_STRETCHES, _STRETCH = 64, 256
"""A text that is one document is read from so many places, so far, to see a carry fill."""

_INTERVAL = 1.96


@dataclass(frozen=True)
class Followed:
    """A feature of the text, and how well units follow it.

    Arguments:
        name: the feature.
        best: the units with the largest |r|, each with its r.
        chance: the largest |r| that is found where there is nothing to be found.
        probe: R of a linear function of all units, NaN if it cannot be judged.
    """

    name: str
    best: tuple[tuple[int, float], ...]
    chance: float
    probe: float


@dataclass(frozen=True)
class Span:
    """What is measured over a span of positions or distances.

    Arguments:
        first, last: the span.
        mean: the mean over it.
        margin: half the width of its 95 % interval; 0 for none.
    """

    first: int
    last: int
    mean: float
    margin: float = 0.0


@dataclass(frozen=True)
class Analysis:
    """All that a page shows of a model and a text.

    Arguments:
        read: what the network does at each character.
        followed: the features, in their order.
        depends: ``float32[T,back]``, see `charrnn_core.inspection.dependence`.
        gates: how the gates are used; empty if none were found.
        settling: bits by position since the carry was fresh.
        starts: what those positions are counted from, in words.
    """

    read: ReadText
    followed: list[Followed]
    depends: npt.NDArray[np.float32]
    gates: list[GateUse]
    settling: list[Span]
    starts: str

    @property
    def reach(self) -> list[Span]:
        """How much predictions depend on characters by their distance, on average."""
        means = self.depends.mean(axis=0, dtype=np.float64)
        return [
            Span(first, last, float(means[first - 1 : last].mean()))
            for first, last in _doubling(self.depends.shape[1])
        ]


def analyse(model: Model, pieces: Sequence[Piece], characters: int) -> Analysis:
    """Read the first characters of a text, and find out what the network does there.

    Arguments:
        model: the model.
        pieces: the text, at least one character.
        characters: how many of them are looked at.
    """
    network, params, some = model.network, model.params, first_characters(pieces, characters)
    read = read_text(network, params, some)
    return Analysis(
        read=read,
        followed=_followed(read, as_text(model, read.ids)),
        depends=dependence(network, params, some),
        gates=gate_uses(network, params, some),
        **_settling(model, pieces, read),
    )


def as_text(model: Model, ids: Ids) -> str:
    """Return one character for each id; for a model of bytes, that with the number of the byte."""
    symbols = model.alphabet.symbols
    return "".join(symbols[i] for i in ids)


def _followed(read: ReadText, text: str) -> list[Followed]:
    found = features(text)
    if not found:
        return []
    columns = np.stack(list(found.values()), axis=1)
    r = correlations(read.values, columns)
    chances, probes = best_by_chance(read.values, columns), probe(read.values, columns)
    return [
        Followed(
            name,
            tuple((int(unit), float(r[unit, i])) for unit in np.argsort(-np.abs(r[:, i]))[:BEST]),
            float(chances[i]),
            float(probes[i]),
        )
        for i, name in enumerate(found)
    ]


def _settling(model: Model, pieces: Sequence[Piece], read: ReadText) -> dict[str, Any]:
    """Return the loss by position since the carry was fresh, and what it is counted from."""
    if model.network.separator:
        return {
            "settling": _by_position(read.nats, read.places),
            "starts": "the beginning of the document",
        }
    starts = [
        Piece(int(piece.ids[at - 1]) if at else piece.before, piece.ids[at : at + _STRETCH])
        for piece in pieces
        for at in range(0, len(piece.ids), _STRETCH)
    ]
    chosen = [starts[i * len(starts) // _STRETCHES] for i in range(_STRETCHES)]
    if len(starts) < _STRETCHES:
        chosen = starts
    scorer = model.programs.get(("score", None), lambda: Scorer(model.network))
    nats = np.concatenate([*scorer(model.params, chosen)])
    places = np.concatenate([np.arange(len(piece.ids)) for piece in chosen])
    return {
        "settling": _by_position(nats, places),
        "starts": f"a fresh carry, at {len(chosen)} places of the text",
    }


def _by_position(nats: npt.NDArray[Any], places: npt.NDArray[Any]) -> list[Span]:
    """Return the mean bits over spans of positions that double, with intervals.

    >>> spans = _by_position(np.array([1, 2, 4, 6]) * math.log(2), np.arange(4))
    >>> [(span.first, span.last, round(span.mean, 3), round(span.margin, 3)) for span in spans]
    [(1, 1, 1.0, 0.0), (2, 2, 2.0, 0.0), (3, 4, 5.0, 1.386)]
    """
    bits, spans = nats.astype(np.float64) / math.log(2), []
    for first, last in _doubling(int(places.max()) + 1):
        some = bits[(places >= first - 1) & (places < last)]
        if len(some):
            margin = _INTERVAL * some.std() / math.sqrt(len(some))
            spans.append(Span(first, last, float(some.mean()), float(margin)))
    return spans


def _doubling(end: int) -> list[tuple[int, int]]:
    """Cut ``1 .. end`` into spans that end at 1, 2, 4, 8 and so on.

    >>> _doubling(10)
    [(1, 1), (2, 2), (3, 4), (5, 8), (9, 10)]
    """
    spans, first, last = [], 1, 1
    while first <= end:
        spans.append((first, min(last, end)))
        first, last = last + 1, 2 * last
    return spans
