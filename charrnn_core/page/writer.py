"""The page on which a model writes and scores: its controls, which ``writer.js`` brings to life."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from charrnn_core.page.frame import escaped, page

_BODY = """<main>
<h1>A recurrent network that writes</h1>
<p>{about}</p>
<form id="controls">
{more}<p><label for="prompt">Begin with</label>
<textarea id="prompt" rows="2" spellcheck="false"></textarea></p>
<div class="row">
<label for="temperature">Temperature <output id="shown-temperature" for="temperature">0.7</output>
<input id="temperature" type="range" min="0" max="1.5" step="0.05" value="0.7"></label>
<label for="sampler">Choose among
<select id="sampler">
<option value="all">all symbols</option>
<option value="top-k">the likeliest (top-k)</option>
<option value="top-p">the likeliest that sum to (top-p)</option>
<option value="min-p">those that reach a share of the likeliest (min-p)</option>
</select></label>
<label for="amount">Number <input id="amount" type="number" step="any" disabled></label>
<label for="length">Length
<input id="length" type="number" min="1" max="1000000" value="1000"></label>
<label for="seed">Seed
<input id="seed" type="number" min="0" max="4294967295" value="0"></label>
<label for="stop">Stop before
<input id="stop" type="text" size="8" spellcheck="false"></label>
</div>
<p><button class="main" id="write" type="submit" disabled>Write</button>
<button id="halt" type="button" disabled>Stop</button>
<span id="status" role="status">Loading the model.</span></p>
</form>
<h2 id="written-title">What it writes</h2>
<div id="written" class="text" role="group" tabindex="0" aria-labelledby="written-title"
 aria-describedby="how"></div>
<p id="how" class="faint">Point at a character, or move through the text with the arrow keys, to see
which characters were likeliest in its place.</p>
<p class="legend">Surprise, in bits: {legend}</p>
<div id="detail" class="panel" aria-live="polite">No character is chosen.</div>
<h2>How likely is your text?</h2>
<p><label for="own">Type or paste a text</label>
<textarea id="own" rows="4" spellcheck="false"></textarea></p>
<p id="score" role="status"></p>
<div id="read" class="text" role="group" tabindex="0" aria-label="Your text, coloured"
 aria-describedby="how"></div>
<h2>About this page</h2>
<table>{rows}</table>
<p class="faint">{where}</p>
</main>
"""

LEVELS = (
    ("0 to 1, expected", "s0"),
    ("1 to 3", "s1"),
    ("3 to 6", "s2"),
    ("6 and more, surprising", "s3"),
)
"""How bits are coloured; ``writer.js`` has the same bounds."""


def writer_page(
    title: str,
    about: str,
    facts: Sequence[tuple[str, str]],
    where: str,
    *,
    connection: str,
    data: Any,
    more: str = "",
    reaches_its_server: bool = False,
) -> str:
    """Return a page on which a model writes.

    Arguments:
        title, about: what it is, plain text.
        facts: names and values, plain text.
        where: where the model runs, plain text.
        connection: JavaScript that declares ``connect`` and ``unknownIn``; see ``writer.js``.
        data: plain data for it.
        more: HTML of more controls, before the others.
        reaches_its_server: whether the page may ask the server that it came from.
    """
    legend = " ".join(f'<span class="{name}">{escaped(words)}</span>' for words, name in LEVELS)
    rows = "".join(
        f"<tr><th scope=row>{escaped(k)}</th><td>{escaped(v)}</td></tr>" for k, v in facts
    )
    return page(
        title,
        _BODY.format(
            about=escaped(about), legend=legend, rows=rows, where=escaped(where), more=more
        ),
        style=_file("writer.css"),
        script=connection + _file("writer.js"),
        data=data,
        reaches_its_server=reaches_its_server,
    )


def _file(name: str) -> str:
    return (files(__package__ or "") / name).read_text(encoding="utf-8")
