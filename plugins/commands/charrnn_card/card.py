"""A model card in Markdown, below metadata in YAML as Hugging Face's Hub reads it."""

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from charrnn_card.facts import Facts
from charrnn_core.registry.words import component
from charrnn_core.runs.overview import spec
from charrnn_core.terminal import number, one_line, printable

_DIGITS = 4


def card_of(facts: Facts, licence: str | None, languages: Sequence[str]) -> str:
    """Return the card.

    Arguments:
        licence, languages: of the model and its text; what is not known is left out.

    Source: https://huggingface.co/docs/hub/model-cards.
    """
    data = yaml.safe_dump(
        metadata(facts, licence, languages), sort_keys=False, allow_unicode=True, width=1000
    )
    parts = {
        "Model": _listed(_model(facts)),
        "Training": _listed(_training(facts)),
        "Results": list(_results(facts)),
        "Use": _use(facts),
    }
    lines = [
        f"---\n{data}---",
        f"# {_escaped(facts.name)}",
        f"A {facts.unit}-level recurrent language model, trained with charrnn.",
    ]
    for heading, part in parts.items():
        lines += [f"## {heading}", "\n".join(part)]
    return "\n\n".join(lines) + "\n"


def metadata(facts: Facts, licence: str | None, languages: Sequence[str]) -> dict[str, Any]:
    """Return the metadata, as plain data."""
    cell = str(facts.config["cell"]["use"]).partition(":")[0]
    data: dict[str, Any] = {}
    if languages:
        data["language"] = list(languages)
    if licence:
        data["license"] = licence
    data |= {
        "library_name": "charrnn",
        "pipeline_tag": "text-generation",
        "tags": ["charrnn", "jax", "rnn", f"{facts.unit}-level", cell],
    }
    measured = _measured(facts)
    if measured is not None:
        nats, part = measured
        data["model-index"] = [
            {
                "name": facts.name,
                "results": [
                    {
                        "task": {"type": "text-generation"},
                        "dataset": {"type": "text", "name": facts.text, "split": part},
                        "metrics": [
                            _metric(f"bits_per_{facts.unit}", nats / math.log(2)),
                            _metric(f"nats_per_{facts.unit}", nats),
                        ],
                    }
                ],
            }
        ]
    return data


def _metric(name: str, value: float) -> dict[str, Any]:
    return {"type": name, "name": name.replace("_", " "), "value": round(value, _DIGITS)}


def _measured(facts: Facts) -> tuple[float, str] | None:
    """Return the held-out nats, and what they were measured on."""
    if facts.result is not None:
        return facts.result.nats_per_char, facts.result.part
    return None if facts.excerpt is None else (facts.excerpt, "excerpt of the held-out part")


def _model(facts: Facts) -> Iterator[tuple[str, str]]:
    config, table = facts.config, facts.table
    yield "cell", _code(component(config["cell"]))
    yield "parameters", f"{table['parameters']:,}"
    yield "alphabet", f"{len(table['alphabet']):,} symbols"
    if context := config.get("context"):
        yield "input", f"one {facts.unit}, and embeddings of the last 2 to {context} {facts.unit}s"
    if table.get("counts"):
        yield "output", "mixed with counts of the training text, which are a part of the model"
    yield "samples", f"drawn with {_code(component(config['sampler']))} by default"


def _training(facts: Facts) -> Iterator[tuple[str, str]]:
    config, table, corpus = facts.config, facts.table, facts.table["corpus"]
    loop = table.get("loop") or {}
    yield "text", f"{_code(facts.text)}, {corpus['characters']:,} characters"
    if corpus.get("licence"):
        yield "its licence", _escaped(corpus["licence"])
    yield "its SHA-256", _code(corpus["sha256"])
    yield "split", _code(str(config.get("split", "")))
    read = (loop.get("characters") or 0) + (loop.get("row_characters") or 0)
    more = (
        f" of a run of {loop['step']:,}" if loop.get("step", table["step"]) > table["step"] else ""
    )
    yield "updates", f"{table['step']:,}{more}"
    if read:
        yield "read", f"{read:,} {facts.unit}s in {loop['seconds']:,.0f} s"
    yield "optimizer", _code(component(config["optimizer"]))
    if {"charrnn", "created"} <= table.keys():
        yield "made with", f"charrnn {_escaped(table['charrnn'])}, {_escaped(table['created'])}"


def _results(facts: Facts) -> Iterator[str]:
    result, unit = facts.result, facts.unit
    if result is None:
        if facts.excerpt is None:
            yield "The files of this model have no held-out result."
            return
        yield (
            f"{_shown(facts.excerpt / math.log(2))} bits ({_shown(facts.excerpt)} nats) per {unit} "
            "on an excerpt of the held-out text, which was read while the model learnt."
        )
        return
    yield (
        f"On the {_escaped(result.part)} part of {_code(result.split)}, {result.characters:,} "
        f"{unit}s that the model has not learnt from:"
    )
    yield ""
    yield f"| | bits per {unit} | nats per {unit} | 95 % interval, nats |"
    yield "|---|---|---|---|"
    for row in result.rows:
        interval = " to ".join(map(_shown, row.interval)) if row.interval else ""
        name = "**this model**" if row is result.model else _escaped(row.name)
        yield f"| {name} | {_shown(row.bits_per_char)} | {_shown(row.nats_per_char)} | {interval} |"
    for remark in result.remarks:
        yield f"\n{_escaped(remark)}."


def _use(facts: Facts) -> list[str]:
    file = f"{facts.name}.safetensors"
    plugins = {
        f"{plugin['distribution']} {plugin['version']}"
        for plugin in facts.table["plugins"]
        if plugin["kind"] in ("cell", "sampler") and plugin["distribution"] != "charrnn"
    }
    needs = [f"It needs {', '.join(map(_code, sorted(plugins)))}.", ""] if plugins else []
    return [
        f"`charrnn export RUN --to safetensors` makes {_code(file)} of the run. With that file:",
        "",
        *needs,
        "```",
        "pip install 'charrnn[safetensors]'",
        f"charrnn sample {_quoted(file)} --length 500",
        f"charrnn score {_quoted(file)} FILE",
        f"charrnn info {_quoted(file)}",
        "```",
        "",
        f"The cell is {_code(spec(facts.config['cell']) or '')}; the file holds numbers and plain "
        "data, no code.",
    ]


def _listed(facts: Iterator[tuple[str, str]]) -> list[str]:
    return [f"- {label}: {text}" for label, text in facts if text]


def _shown(value: float) -> str:
    return number(value, _DIGITS)


def _quoted(text: str) -> str:
    return shlex.quote(one_line(text))


def _code(text: str) -> str:
    """Return a text as code in Markdown; a backquote in it would end that."""
    return f"`{one_line(printable(text)).replace('`', chr(39)).replace('|', '¦')}`"


def _escaped(text: str) -> str:
    """Return a text of a run for Markdown, where it is nothing but text."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|" else c for c in one_line(printable(text)))
