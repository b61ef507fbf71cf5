"""The contents of a checkpoint on the screen: the result first, then the model."""

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from charrnn_core.console.layout import heading, labelled
from charrnn_core.evaluation.forgetting import Forgetting
from charrnn_core.network.explain import summary
from charrnn_core.registry.words import component, setting
from charrnn_core.runs.chosen import Chosen
from charrnn_core.runs.config import RunConfig
from charrnn_core.terminal import number

_COMPONENTS = ("loss", "optimizer", "sampler", "observers")
_MOST_SYMBOLS = 120
_ELSEWHERE = (*_COMPONENTS, "cell", "source", "alphabet", "embedding", "tied", "split")


def lines(
    table: Mapping[str, Any],
    width: int | None,
    evaluation: Mapping[str, Any] | None = None,
    curve: Sequence[str] = (),
) -> list[str]:
    """Return the lines of all parts, each part under a heading.

    Arguments:
        table: from `charrnn_core.runs.model.describe_run`.
        width: the width of the terminal; None does not wrap lines.
        evaluation: the result of a training at its end, of all of the held-out text.
        curve: the lines of the learning curve, which follow the result.
    """
    parts = {
        "result": _result(table, evaluation),
        "model": _model(table),
        "text": _text(table),
        "options": _options(table),
        "made with": _origin(table),
    }
    shown: list[str] = []
    for name, rows in parts.items():
        if rows := [(label, text) for label, text in rows if text]:
            shown += ["", heading(name), *labelled(rows, width, "  ")]
        if name == "result" and curve:
            shown += ["", heading("learning curve"), *curve]
    return shown[1:]


def _result(
    table: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    loop = table.get("loop") or {}
    rows = [
        ("status", str(table["status"])),
        *_held_out(table, evaluation),
        *(_models(Chosen(**table["model"]), loop, _unit(table)) if "model" in table else ()),
    ]
    if isinstance(step := loop.get("step", table.get("step")), int):
        done = [f"{step:,} updates"]
        if characters := (loop.get("characters") or 0) + (loop.get("row_characters") or 0):
            done.append(f"{characters:,} {_unit(table)}s")
        if seconds := loop.get("seconds"):
            done.append(f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} minutes")
        rows.append(("trained", ", ".join(done)))
    if troubles := [f"{loop[key]} {key}" for key in ("skipped", "rollbacks") if loop.get(key)]:
        rows.append(("trouble", ", ".join(troubles)))
    return [*rows, ("checkpoint", str(table["checkpoint"]))]


def _held_out(
    table: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> Iterable[tuple[str, str]]:
    """Say the loss on all of the held-out text, if this model had it measured, and as it learnt."""
    learning, unit = table.get("held_out_nats_per_char"), _unit(table)
    evaluation = evaluation or {}
    whole, of = evaluation.get("nats_per_char"), evaluation.get("model", {}).get("step")
    if not isinstance(whole, float) or of != table.get("step"):
        yield "held-out", _loss(learning, unit)
        return
    yield "held-out", _loss(whole, unit)
    if isinstance(learning, float) and abs(learning - whole) >= 1e-4:
        yield "excerpt", f"{_loss(learning, unit)}, of what is read while it learns"
    if (saved := evaluation.get("forgetting")) is not None:
        # Another program may have written it.
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            old = Forgetting.read(saved)
            before, after = (_loss(row.nats_per_char, unit) for row in (old.before, old.after))
            yield "old text", f"{after}; {before} before, in {old.run}"


def _loss(nats: Any, unit: str) -> str:
    if not isinstance(nats, float):
        return "not measured"
    return f"{number(nats, 4)} nats, {number(nats / math.log(2), 4)} bits per {unit}"


def _models(model: Chosen, loop: Mapping[str, Any], unit: str) -> Iterable[tuple[str, str]]:
    """Say which model of the run it is, and how good the best and the last are, if others."""
    yield "model", str(model)
    if model.best not in (None, model.step):
        yield "best", f"{_loss(loop.get('best'), unit)}, after update {model.best:,}"
    if model.last not in (None, model.step):
        if loop.get("anchor") == model.last:
            yield "last", f"{_loss(loop.get('held_out'), unit)}, after update {model.last:,}"
        else:
            yield "last", f"update {model.last:,}, not evaluated"


def _unit(table: Mapping[str, Any]) -> str:
    return "byte" if table["config"].get("alphabet") == "bytes" else "character"


def _model(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    config = table["config"]
    embedding = config.get("embedding")
    widths = "one-hot input" if embedding == 0 else f"embedding of {embedding}"
    tied = ", tied to the readout" if config.get("tied") else ""
    size = f"{table['parameters']:,} parameters"
    unroll = table.get("unroll")
    named = (f"{name} {shape}" for name, shape in table.get("shapes", {}).items())
    return [
        ("cell", component(config.get("cell"))),
        ("network", size if embedding is None else f"{size}, {widths}{tied}"),
        ("alphabet", _alphabet(table)),
        ("names", ", ".join(named)),
        ("unroll", summary(unroll) if unroll else ""),
    ]


def _alphabet(table: Mapping[str, Any]) -> str:
    if _unit(table) == "byte":
        return "the 256 bytes"
    symbols = ["space" if symbol == " " else repr(symbol)[1:-1] for symbol in table["alphabet"]]
    more = len(symbols) - _MOST_SYMBOLS
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{len(symbols):,} symbols: {' '.join(symbols[:_MOST_SYMBOLS])}{rest}"


def _text(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    corpus, config = table.get("corpus") or {}, table["config"]
    characters = corpus.get("characters")
    return [
        ("source", component(config.get("source"))),
        ("origin", str(corpus.get("origin") or "")),
        ("licence", str(corpus.get("licence") or "")),
        ("length", f"{characters:,} characters" if isinstance(characters, int) else ""),
        ("split", str(config.get("split", ""))),
        ("sha256", str(corpus.get("sha256") or "")),
    ]


def _options(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the components, and the settings that differ from their defaults."""
    config, usual = table["config"], RunConfig().table()
    rows = [(name, component(config.get(name))) for name in _COMPONENTS]
    others = [
        (name, setting(value))
        for name, value in config.items()
        if name not in _ELSEWHERE and value != usual.get(name)
    ]
    return [*rows, *others, ("others", "defaults; --json shows all")]


def _origin(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    versions = ", ".join(f"{key} {value}" for key, value in _items(table.get("environment")))

    def provider(plugin: Mapping[str, Any]) -> str:
        return f"{plugin['distribution']} {plugin['version']}"

    plugins = sorted(table.get("plugins") or (), key=provider)
    used = [
        f"{who}: {', '.join(' '.join((plugin['kind'], plugin['name'])) for plugin in some)}"
        for who, some in groupby(plugins, key=provider)
    ]
    return [
        ("charrnn", " of ".join(str(table[key]) for key in ("charrnn", "created") if key in table)),
        ("versions", versions),
        *zip(["plugins", *[""] * len(used)], used, strict=False),
    ]


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, Mapping) else ()
