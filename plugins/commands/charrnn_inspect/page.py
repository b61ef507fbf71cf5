"""The page: its parts in HTML, and the data and code with which a browser colours the text."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from charrnn_core.inspection.units import Unit
from charrnn_core.javascript.bundle import runtime
from charrnn_core.javascript.packing import pack
from charrnn_core.page.frame import escaped, page
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_inspect.analysis import Analysis, Followed
from charrnn_inspect.enclosed import Enclosed
from charrnn_inspect.figures import bars, gate_plot
from charrnn_inspect.rounding import LEVELS, as_levels, as_shades
from charrnn_inspect.selection import choose_units, most_alike
from charrnn_inspect.subject import Subject

_SCRIPTS = ("data", "text", "choice", "units", "typed", "start")
_STRONGEST = 50
"""The most of a colour, in percent, that is mixed with the paper: letters stay easy to read."""

_NO_MODEL = Enclosed("", None, "")
_MARKED = LEVELS // 3
"""From this level on a unit's sign is marked."""


def inspection_page(
    subject: Subject, analysis: Analysis, count: int, model: Enclosed = _NO_MODEL
) -> str:
    """Return the page.

    Arguments:
        count: how many units it has the values of.
        model: what reads a text that a visitor types.
    """
    chosen = choose_units(analysis.read, analysis.followed, count)
    place = {unit: at for at, unit in enumerate(chosen)}
    names = [analysis.read.units[unit] for unit in chosen]
    body = "\n".join([
        _head(subject, analysis, len(chosen)),
        _text_part(names, analysis.depends.shape[1]),
        _typing_part(model),
        _features_part(analysis.followed, analysis.read.units, place),
        _gates_part(analysis),
        _looking_back_part(analysis),
        _notes(),
    ])  # fmt: skip
    return page(
        f"What the units of {subject.run} do",
        f"<main>\n{body}\n</main>",
        style=_file("page.css") + _colours(),
        script="\n".join([runtime("arrays"), model.code, *map(_script, _SCRIPTS)]),
        data={**_data(subject, analysis, chosen), "model": model.data},
    )


def _file(name: str) -> str:
    return (files(__package__ or "") / "browser" / name).read_text(encoding="utf-8")


def _script(name: str) -> str:
    return _file(f"{name}.js")


def _data(subject: Subject, analysis: Analysis, chosen: Sequence[int]) -> dict[str, Any]:
    read = analysis.read
    values = read.values[:, chosen]
    rounded = [as_levels(column) for column in values.T]
    leaves = list(dict.fromkeys(unit.leaf for unit in read.units))
    units = [
        {
            "name": str(read.units[unit]),
            "leaf": leaves.index(read.units[unit].leaf),
            "number": read.units[unit].number,
            "origin": each.origin,
            "scale": each.scale,
            "like": like,
        }
        for unit, each, like in zip(chosen, rounded, most_alike(values), strict=True)
    ]
    arrays = {
        "ids": read.ids.astype(np.uint32),
        "bits": (read.nats / math.log(2)).astype(np.float32),
        "top": read.top.astype(np.uint32),
        "chances": np.rint(read.top_p * 255).astype(np.uint8),
        "levels": np.stack([each.levels for each in rounded]).reshape(-1),
        "depends": as_shades(analysis.depends).reshape(-1),
    }
    return {
        "symbols": [shown_symbol(i, subject.alphabet) for i in range(len(subject.alphabet))],
        "names": list(arrays),
        "packed": pack([*arrays.values()]),
        "units": units,
        "topCount": read.top.shape[1],
        "back": analysis.depends.shape[1],
        "most": LEVELS,
    }


def shown_symbol(number: int, alphabet: Alphabet) -> str:
    """Return what stands for a symbol on the page: one character, or a byte's number.

    What has no shape of its own, or would move what stands beside it, is replaced.

    >>> some = Alphabet("\\n\\x07a\\u202e\\u0301")
    >>> [shown_symbol(i, some) for i in range(5)]
    ['↵', '␇', 'a', '�', '◌́']
    >>> shown_symbol(0xC3, ByteAlphabet())
    'C3'
    """
    symbol = alphabet.symbols[number]
    if symbol == "\n":
        return "↵"
    if isinstance(alphabet, ByteAlphabet) and number > 0x7F:
        return f"{number:02X}"
    if symbol == "\t":
        return "⇥"
    if symbol < " ":
        return chr(0x2400 + ord(symbol))  # a picture of the control character
    kind = unicodedata.category(symbol)
    if kind in ("Cf", "Cs", "Co", "Cn", "Cc", "Zl", "Zp"):
        return "\ufffd"
    return f"◌{symbol}" if kind.startswith("M") else symbol


def _colours() -> str:
    """Return a rule for every colour: p1 .. p31 towards plus, m1 .. m31 towards minus."""
    rules = []
    for level in range(1, LEVELS + 1):
        share = f"{_STRONGEST * level / LEVELS:.0f}%"
        for sign, colour in (("p", "plus"), ("m", "minus")):
            rules.append(
                f".{sign}{level}{{background:color-mix(in srgb,var(--{colour}) {share},"
                "var(--panel))}"
            )
    strong = range(_MARKED, LEVELS + 1)
    for sign, line, colour in (("p", "overline", "plus"), ("m", "underline", "minus")):
        marked = ",".join(f".signs .{sign}{level}" for level in strong)
        rules.append(f"{marked}{{text-decoration:{line} 2px var(--{colour})}}")
    return "\n".join(rules) + "\n"


def _head(subject: Subject, analysis: Analysis, shown: int) -> str:
    read = analysis.read
    bits = float(read.nats.mean(dtype=np.float64)) / math.log(2)
    seen = f"{shown} of {read.all_units} units are on this page"
    if len(read.units) < read.all_units:
        seen += f", chosen from {len(read.units)} that are spread evenly"
    return (
        f"<h1>What the units of {escaped(subject.run)} do</h1>\n"
        f"<p>{escaped(subject.network)}, reading {len(read.ids):,} {subject.alphabet.unit}s of "
        f"{escaped(subject.text)}: {bits:.3f} bits per {subject.alphabet.unit}. {seen}.</p>\n"
        f"{_WHAT_A_UNIT_IS}"
    )


_WHAT_A_UNIT_IS = """<p>A unit is one of the numbers that the network carries from character to
character, which are its memory. Every character has the colour of the chosen unit once that
character has been read: orange where the unit is above 0, blue where it is below. A unit that
follows something, such as the length of a line, changes its colour with it.</p>"""


def _text_part(names: Sequence[Unit], back: int) -> str:
    groups: dict[str, list[str]] = {}
    for at, unit in enumerate(names):
        option = f'<option value="{at}">{escaped(str(unit))}</option>'
        groups.setdefault(unit.leaf, []).append(option)
    options = "".join(
        f'<optgroup label="{escaped(leaf)}">{"".join(some)}</optgroup>'
        for leaf, some in groups.items()
    )
    return f"""<h2 id="the-text">The text</h2>
<div class="controls">
<fieldset><legend>Colour by</legend>
<label><input type="radio" name="view" value="unit" checked> a unit</label>
<label><input type="radio" name="view" value="surprise"> surprise</label>
<label><input type="radio" name="view" value="depends" id="depends">
what the next one depends on</label>
</fieldset>
<label>Unit <select id="unit">{options}</select></label>
<button type="button" id="before">Previous unit</button>
<button type="button" id="after">Next unit</button>
<label><input type="checkbox" id="signs" checked> mark signs</label>
</div>
<p id="legend" class="faint"></p>
<div class="reader">
<div id="text" class="text signs" role="application" tabindex="0" aria-label="The text"
 aria-describedby="keys"></div>
<section id="details" aria-label="The character">
<p id="character" role="status"></p>
<table id="next"><caption>Likeliest next, with shares in percent</caption><tbody></tbody></table>
<p id="like"></p>
</section>
</div>
<p id="keys" class="faint">In the text the arrow keys, Home, End, Page Up and Page Down move from
character to character; + and − choose the next and the previous unit. A pointer over a character
shows it, a click chooses it.
With “what the next one depends on”, the {back} characters up to the chosen one are shaded.</p>"""


def _typing_part(model: Enclosed) -> str:
    if model.data is None:
        return f'<h2 id="typing">A text of your own</h2>\n<p>{escaped(model.words)}</p>'
    return f"""<h2 id="typing">A text of your own</h2>
<p><label for="typed">Type or paste a text</label>
<textarea id="typed" rows="3" spellcheck="false"></textarea></p>
<p><button type="button" class="main" id="read">Read it</button>
<button type="button" id="given">Back to the text of the page</button>
<span id="said" role="status"></span></p>
<p class="faint">{escaped(model.words)}</p>"""


def _features_part(
    followed: Sequence[Followed], units: Sequence[Unit], place: dict[int, int]
) -> str:
    if not followed:
        return "<h2>Units by what they follow</h2>\n<p>The text has no feature that changes.</p>"
    rows = "".join(_feature_row(row, units, place) for row in followed)
    return f"""<h2 id="features">Units by what they follow</h2>
<p>A button colours the text by a unit. Its number is Pearson’s r with the feature. <em>By
chance</em> is the best |r| of any unit when the feature is moved round the text by 19 distances: an
|r| no larger says nothing. <em>All units</em> is R of a linear function of all units, found on the
first half of the text and judged on the second.</p>
<div class="wide"><table class="features"><thead><tr><th scope="col">feature</th>
<th scope="col" class="number">by chance</th><th scope="col" class="number">all units</th>
<th scope="col">best units</th></tr></thead><tbody>{rows}</tbody></table></div>"""


def _feature_row(row: Followed, units: Sequence[Unit], place: dict[int, int]) -> str:
    buttons = "".join(_unit_button(units[unit], r, place.get(unit)) for unit, r in row.best)
    linear = "–" if math.isnan(row.probe) else _minus(f"{row.probe:.2f}")
    return (
        f'<tr><th scope="row">{escaped(row.name)}</th><td class="number">{row.chance:.2f}</td>'
        f'<td class="number">{linear}</td><td>{buttons}</td></tr>'
    )


def _unit_button(unit: Unit, r: float, at: int | None) -> str:
    label = f"{escaped(str(unit))} <b>{_minus(f'{r:+.2f}')}</b>"
    if at is None:  # there was no room for its values
        return f'<span class="unit">{label}</span>'
    return f'<button type="button" class="unit" data-unit="{at}">{label}</button>'


def _minus(number: str) -> str:
    return number.replace("-", "−")


def _gates_part(analysis: Analysis) -> str:
    if not analysis.gates:
        return ""
    plots = "".join(map(gate_plot, analysis.gates))
    return f"""<h2 id="gates">Gates</h2>
<p>A dot for each unit of a gate: how much of the time it is below 0.1, which closes it, and above
0.9, which opens it. Near the dashed line it is always one or the other. Gates have the names that
the cell’s author gave them.</p>
<div class="figures">{plots}</div>"""


def _looking_back_part(analysis: Analysis) -> str:
    reach = bars(analysis.reach, "Mean dependence by distance", 3)
    settling = bars(analysis.settling, "Bits by position")
    return f"""<h2 id="reach">How far predictions look back</h2>
<p>The norm of the gradient of the next character’s log-probability with respect to what was read,
by how many characters ago that was, on average over the text.</p>
<figure>{reach}<figcaption class="faint">characters back: 1, 2, 3 to 4, 5 to 8 and so
on</figcaption></figure>
<h2 id="settling">Loss since the beginning</h2>
<p>Bits per character by position, counted from {escaped(analysis.starts)}, with 95 %
intervals.</p>
<figure>{settling}<figcaption class="faint">position: 1, 2, 3 to 4, 5 to 8 and so
on</figcaption></figure>"""


def _notes() -> str:
    return "\n".join(["<h2>Where this comes from</h2>", "<ul>", *_list(_SOURCES), "</ul>"])


def _list(items: Iterable[str]) -> list[str]:
    return [f"<li>{item}</li>" for item in items]


_SOURCES = (
    "Units over a text, and gates: Karpathy, Johnson and Fei-Fei 2015, <cite>Visualizing and "
    "Understanding Recurrent Networks</cite>, arXiv 1506.02078.",
    "What a prediction depends on: Madsen 2019, <cite>Visualizing memorization in RNNs</cite>, "
    "Distill.",
    "Units that are alike: Strobelt et al. 2018, <cite>LSTMVis</cite>, arXiv 1606.07461.",
)
