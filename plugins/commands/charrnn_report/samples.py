"""What the models of a report wrote while they learnt."""

import math
import re
from collections.abc import Sequence

from charrnn_core.page.frame import escaped
from charrnn_core.runs.history import Sample
from charrnn_core.terminal import number, printable
from charrnn_report.shown import Shown

_MOST, _OF_ALL = 8, 120
_LONGEST, _BYTES_OF_ALL = 4000, 100_000


def samples(runs: Sequence[Shown]) -> str:
    """Return samples of every run, evenly spread over its training, as HTML."""
    found = [run for run in runs if run.history.samples]
    if not found:
        return "<p>No samples were kept: runs keep them in samples.jsonl.</p>"
    most = max(1, min(_MOST, _OF_ALL // len(found)))
    longest = min(_LONGEST, _BYTES_OF_ALL // (most * len(found)))
    parts = []
    for run in found:
        chosen = spread_out(run.history.samples, most)
        texts = "".join(_sample(run, sample, longest) for sample in chosen)
        if len(runs) > 1:
            texts = f"<details><summary>{run.heading}</summary>{texts}</details>"
        parts.append(texts)
    return "".join(parts)


def spread_out(found: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most so many samples, the last always, the first if there are two.

    >>> [sample.step for sample in spread_out([Sample(n, "", "") for n in range(1, 10)], 3)]
    [1, 5, 9]
    >>> spread_out([Sample(1, "", ""), Sample(2, "", "")], 1)[0].step
    2
    """
    if len(found) <= most:
        return list(found)
    if most == 1:
        return [found[-1]]
    return [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]


def _sample(run: Shown, sample: Sample, longest: int) -> str:
    heading = f"update {sample.step:,}"
    losses = [
        stage.held_out
        for stage in run.history.course.stages
        if stage.held_out is not None and stage.step <= sample.step
    ]
    if losses and math.isfinite(losses[-1]):
        heading += f", held-out {number(losses[-1] / math.log(2), 3)} bits"
    prompt, text = _cut(sample.prompt, longest // 4), _cut(sample.text, longest)
    return f"<h3>{heading}</h3><pre><b>{prompt}</b>{text}</pre>"


def _cut(text: str, longest: int) -> str:
    """Return text as HTML of about so many bytes at most."""
    whole = escaped(printable(text[:longest])).encode()
    if len(whole) <= longest >= len(text):
        return whole.decode()
    return re.sub("&[^;]*$", "", whole[:longest].decode(errors="ignore")) + "…"
