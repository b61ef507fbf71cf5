"""The page of a model: what it says of the run, and the controls that its script brings to life."""

import math
from importlib.metadata import version
from importlib.resources import files
from pathlib import PurePath

from charrnn_core.javascript.bundle import engine, model_data
from charrnn_core.page.frame import escaped, page
from charrnn_export.variant import Variant

_BODY = """<main>
<h1>A recurrent network that writes</h1>
<p>{about}</p>
<form id="controls">
<p><label for="prompt">Begin with</label>
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
<p class="faint">Everything runs in this file: it sends nothing, and works offline.</p>
</main>
"""

LEVELS = (
    ("0 to 1, expected", "s0"),
    ("1 to 3", "s1"),
    ("3 to 6", "s2"),
    ("6 and more, surprising", "s3"),
)
"""How bits are coloured; ``page.js`` has the same bounds."""


def html(variant: Variant) -> str:
    """Return the page."""
    model = variant.model
    code = engine(variant.compiled)
    network = model.network
    data = model_data(variant.compiled, model.alphabet, network.separator, variant.float16)
    unit = model.alphabet.unit
    legend = " ".join(f'<span class="{name}">{escaped(words)}</span>' for words, name in LEVELS)
    facts = _facts(variant)
    rows = "".join(
        f"<tr><th scope=row>{escaped(k)}</th><td>{escaped(v)}</td></tr>" for k, v in facts
    )
    about = escaped(
        f"It has {model.parameters:,} parameters and has read {_text(variant)}. "
        f"It reads one {unit} after another and says which comes next."
    )
    return page(
        f"{_cell(variant)} on {_text(variant)}",
        _BODY.format(about=about, legend=legend, rows=rows),
        style=_file("page.css"),
        script=code + _file("page.js"),
        data=data,
    )


def _facts(variant: Variant) -> list[tuple[str, str]]:
    model = variant.model
    nats = variant.nats
    held_out = "not measured"
    if not isinstance(nats, str):
        held_out = f"{nats['export'] / math.log(2):.3f} bits per {model.alphabet.unit}"
    counts = {True: "included", False: "left out"}[variant.has_counts] if variant.counts else "none"
    return [
        ("Cell", _cell(variant)),
        ("Text", _text(variant)),
        ("Parameters", f"{model.parameters:,}"),
        ("Alphabet", f"{len(model.alphabet):,} symbols"),
        ("Held-out text", held_out),
        ("Table of counts", counts),
        ("Numbers", "float16" if variant.float16 else "float32"),
        ("Made with", f"charrnn {version('charrnn')}"),
    ]


def _cell(variant: Variant) -> str:
    """Return the cell's name with its options, without those that are off."""
    cell = variant.model.config.cell
    options = ", ".join(f"{key}={value}" for key, value in cell.options.items() if value)
    return f"{cell.use}: {options}" if options else cell.use


def _text(variant: Variant) -> str:
    """Return the name of the text; of a file, not the folder, which is nobody's business."""
    return PurePath(str(variant.model.table["corpus"]["name"])).name


def _file(name: str) -> str:
    return (files(__package__ or "") / name).read_text(encoding="utf-8")
