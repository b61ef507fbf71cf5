"""What TensorBoard shows: figures as scalars, samples and settings as texts."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tensorboardX.proto import summary_pb2
from tensorboardX.summary import hparams, text

from charrnn_core.events import Sampled, Started
from charrnn_core.terminal import printable

Summary: Any = vars(summary_pb2)["Summary"]
"""A protocol buffer, which exists only once its module is imported."""

_HELD_OUT, _TRAIN = "held_out/nats_per_char", "train/nats_per_char"
_TAGS = {
    "train_nats_per_char": _TRAIN,
    "held_out_nats_per_char": _HELD_OUT,
    "characters_per_second": "speed/characters_per_second",
    "epoch": "progress/epoch",
    "characters": "progress/characters",
}
_DIGITS = 12


def of_row(row: Mapping[str, Any]) -> Any:
    """Return the figures of a row of the metrics log, losses in bits per character, too.

    >>> [value.tag for value in of_row({"step": 9, "train_nats_per_char": 0.7}).value]
    ['train/nats_per_char', 'train/bits_per_char']
    """
    scalars: dict[str, float] = {}
    for name, value in row.items():
        if name == "held_out_interval":
            scalars["held_out/nats_interval_low"], scalars["held_out/nats_interval_high"] = value
        elif name.endswith("_seconds"):
            scalars[f"seconds/{name.removesuffix('_seconds')}"] = value
        elif name != "step":
            scalars[_TAGS.get(name, name)] = value
    return _summary(scalars)


def of_result(nats: float) -> Any:
    """Return the result at the end, on all of the held-out text."""
    return _summary({"result/nats_per_char": nats})


def of_sample(event: Sampled) -> Any:
    """Return what the model wrote, with its prompt, to be shown as it is."""
    return text("sample", _verbatim(event.prompt + event.text))


def of_settings(event: Started) -> Iterator[Any]:
    """Return the settings as a text, and as hyperparameters beside the held-out loss."""
    import tomli_w

    yield text("settings", _verbatim(tomli_w.dumps(event.config)))
    flat = dict(_flat("", event.config)) | {"parameters": event.parameters}
    experiment, begun, _ = hparams(flat, {_HELD_OUT: 0.0, _TRAIN: 0.0})
    yield from (experiment, begun)


def digest(settings: Mapping[str, Any]) -> str:
    """Return what tells settings from others."""
    data = json.dumps(settings, sort_keys=True, default=str).encode()
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def _summary(scalars: Mapping[str, float]) -> Any:
    all_of_them = dict[str, float]()
    for tag, value in scalars.items():
        all_of_them[tag] = value
        if tag.endswith("/nats_per_char"):
            all_of_them[tag.replace("nats", "bits")] = value / math.log(2)
    return Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in all_of_them.items()])


def _verbatim(shown: str) -> str:
    """Return the Markdown that shows a text as it is.

    >>> _verbatim("# Ho *ho*")
    '    # Ho *ho*'
    """
    return "\n".join("    " + line for line in printable(shown).split("\n"))


def _flat(name: str, value: Any) -> Iterator[tuple[str, bool | int | float | str]]:
    """Yield the settings with their names, such as ``cell`` and ``cell.features``.

    >>> list(_flat("", {"cell": {"use": "elman", "features": 8}, "observers": [{"use": "jsonl"}]}))
    [('cell', 'elman'), ('cell.features', 8), ('observers.0', 'jsonl')]
    """
    if isinstance(value, bool | int | float | str):
        yield name, value
    elif isinstance(value, Mapping | list | tuple):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            below = name if key == "use" else f"{name}.{key}" if name else str(key)
            yield from _flat(below, inner)
