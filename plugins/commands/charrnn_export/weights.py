"""The weights of a model with all that is needed to build it again, as safetensors."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from charrnn_core.errors import CharRNNError
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.files.tensors import tensors_bytes
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.model import Model
from charrnn_core.runs.portable import portable
from charrnn_export.target import Made
from charrnn_export.variant import Variant


def made(variant: Variant) -> Made:
    """Return the file."""
    checkpoint = portable(variant.exported)
    table = {
        **_without_folders(checkpoint.table),
        "exported_by": f"charrnn {version('charrnn')}",
        **_figures(variant),
    }
    return Made(tensors_bytes(Checkpoint(table, checkpoint.arrays)))


def _figures(variant: Variant) -> dict[str, Any]:
    """Return the held-out results that hold for what is exported."""
    if variant.lacks_counts:
        nats = variant.nats
        of_network = None if isinstance(nats, str) else nats["export"]
        return {"held_out_nats_per_char": of_network}
    result = _evaluation(variant.model)
    return {} if result is None else {"evaluation": result}


def _evaluation(model: Model) -> Mapping[str, Any] | None:
    """Return the result of the training on all of the held-out text, if it is of this model."""
    if model.directory is None:
        return model.table.get("evaluation")
    try:
        found = RunDirectory(model.directory).evaluation((model.newest or model.table)["step"])
    except (CharRNNError, ValueError):
        return None
    is_of_model = found is not None and found.get("model", {}).get("step") == model.table["step"]
    return found if is_of_model else None


def _without_folders(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table in which the text is named without its folder, which is nobody's business."""
    use = str(table["config"].get("source", {}).get("use", ""))
    _, _, argument = use.partition(":")
    if not Path(argument).is_absolute():
        return dict(table)
    name = Path(argument).name
    config = {**table["config"], "source": {**table["config"]["source"]}}
    config["source"]["use"] = use.replace(argument, name)
    corpus = {
        key: value.replace(argument, name) if isinstance(value, str) else value
        for key, value in table["corpus"].items()
    }
    return {**table, "config": config, "corpus": corpus}
