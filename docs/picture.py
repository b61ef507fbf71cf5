"""Draw docs/picture.svg, with which the README opens, from a run on the default text.

    charrnn run --minutes 5 --out runs/python-docs
    python docs/picture.py runs/python-docs > docs/picture.svg

Left is a piece of the held-out text, from Python's own documentation, with the surprise of the
model at every character; right the learning curve, drawn as in a report.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from charrnn_core import load, score
from charrnn_core.evaluation.chosen_text import Scored
from charrnn_core.evaluation.saved import learning_curve
from charrnn_core.page.curves import svg
from charrnn_core.page.frame import base_style, escaped
from charrnn_core.runs.curves import chart
from charrnn_core.runs.history import read_history

BEGINNING, LINES = "Boolean operations\n***", 17
WIDTH, HEIGHT = 940, 390
LEFT, TOP, LETTER, LINE = 18.0, 62.0, 6.9, 17.0
CHART = (400, 330)
SURPRISES = ((6.0, "6 bits or more of surprise", 0.5), (3.0, "3 to 6", 0.3), (1.0, "1 to 3", 0.15))
"""From how many bits on, in words, a background is how opaque."""

STYLE = """
svg { color: var(--ink); }
.paper { fill: var(--panel); stroke: var(--line); }
.surprise { fill: var(--plus); }
svg .title { font-weight: 600; font-size: 14px; }
svg .read { font: 11.5px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
"""


def picture(run: Path) -> str:
    """Return the picture of a run."""
    drawn = chart([learning_curve(read_history(run))])
    if drawn is None:
        raise SystemExit(f"nothing was measured in {run}; expected a run that has ended")
    middle = WIDTH - CHART[0] - LEFT
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        f"<style>{base_style()}{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH - 1}" height="{HEIGHT - 1}" x=".5" y=".5" rx="8"/>',
        _title(LEFT, "What surprises it in a text it has not seen"),
        *_legend(),
        *_read(_lines(run)),
        _title(middle, "How it learnt, and what counting and xz reach"),
        f'<svg x="{middle}" y="44" width="{CHART[0]}" height="{CHART[1]}">',
        svg(drawn, *CHART),
        "</svg></svg>\n",
    ])  # fmt: skip


def _title(x: float, text: str) -> str:
    return f'<text class="title" x="{x:g}" y="28">{escaped(text)}</text>'


def _lines(run: Path) -> list[list[Scored]]:
    """Return lines of the held-out text; the model has read all that stands before them."""
    read = list(score(load(run), streams=1))
    start = "".join(str(found.symbol) for found in read).index(BEGINNING)
    ends = [start - 1, *(i for i in range(start, len(read)) if read[i].symbol == "\n")]
    return [read[end + 1 : after] for end, after in itertools.pairwise(ends[: LINES + 1])]


def _read(lines: Sequence[Sequence[Scored]]) -> Iterator[str]:
    """Draw the lines over their backgrounds."""
    box = f"h{LETTER}v{LINE - 2:g}h-{LETTER}z"
    for bits, _, opacity in SURPRISES:
        boxes = "".join(
            f"M{LEFT + column * LETTER:.1f},{TOP + row * LINE - 12:g}{box}"
            for row, line in enumerate(lines)
            for column, found in enumerate(line)
            if _least(found) == bits
        )
        yield f'<path class="surprise" opacity="{opacity}" d="{boxes}"/>'
    for row, line in enumerate(lines):
        text = "".join(str(found.symbol) for found in line)
        indent = len(text) - len(text.lstrip())
        if text := text.lstrip():
            place = f'x="{LEFT + indent * LETTER:.1f}" y="{TOP + row * LINE:g}"'
            # Whatever the font, a letter is over its background.
            length = f'textLength="{len(text) * LETTER:.1f}"'
            yield f'<text class="read" {place} {length}>{escaped(text)}</text>'


def _least(found: Scored) -> float | None:
    return next((bits for bits, _, _ in SURPRISES if found.bits >= bits), None)


def _legend() -> Iterator[str]:
    """Draw a box in each colour, with its bits."""
    x, y = LEFT, HEIGHT - 18.0
    for _, words, opacity in reversed(SURPRISES):
        box = f'x="{x:g}" y="{y - 11:g}" width="14" height="14" opacity="{opacity}"'
        yield f'<rect class="surprise" {box}/><text x="{x + 20:g}" y="{y:g}">{words}</text>'
        x += 80


if __name__ == "__main__":
    sys.stdout.write(picture(Path(sys.argv[1])))
