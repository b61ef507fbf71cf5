"""The page of a model: what it says of the run, and the code that runs the model."""

import math
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files

from charrnn_core.javascript.bundle import engine, model_data
from charrnn_core.page.writer import writer_page
from charrnn_export.about import text_name
from charrnn_export.target import Made
from charrnn_export.variant import Variant


def made(variant: Variant) -> Made:
    """Return the page."""
    return Made(html(variant).encode(), _remarks(variant))


def html(variant: Variant) -> str:
    """Return the page as text."""
    model = variant.model
    code = engine(variant.compiled)
    network = model.network
    data = model_data(variant.compiled, model.alphabet, network.separator, variant.float16)
    about = (
        f"It has {model.parameters:,} parameters and has read {text_name(variant)}. "
        f"It reads one {model.alphabet.unit} after another and says which comes next."
    )
    return writer_page(
        f"{_cell(variant)} on {text_name(variant)}",
        about,
        _facts(variant),
        "Everything runs in this file: it sends nothing, and works offline.",
        connection=code + _file("worker.js"),
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
        ("Text", text_name(variant)),
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


def _remarks(variant: Variant) -> Iterator[str]:
    if short := variant.compiled.short:
        yield (
            f"numbers   the cell computes in {short}, where a sum depends on its order: the page's "
            "log-probabilities are off by some thousandths"
        )


def _file(name: str) -> str:
    return (files(__package__ or "") / name).read_text(encoding="utf-8")
