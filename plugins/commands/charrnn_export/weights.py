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
    table = _without_folders(checkpoint.table)
    table["exported_by"] = f"charrnn {version('charrnn')}"
    result = _of_network(variant) if variant.lacks_counts else _of_run(variant.model)
    if variant.lacks_counts:
        table["config"] = {**table["config"], "counts": 0}
        table["held_out_nats_per_char"] = None
    if result is not None:
        table["evaluation"] = _without_folders_of_another_run(result)
    return Made(tensors_bytes(Checkpoint(table, checkpoint.arrays)))


def _of_network(variant: Variant) -> Mapping[str, Any] | None:
    """Return the result of the network alone, as a run would save it; None if it has none."""
    if isinstance(variant.results, str):
        return None
    saved = {"step": variant.model.table["step"], "start_up_seconds": 0.0}
    return {**variant.results["export"].table(), **saved}


def _of_run(model: Model) -> Mapping[str, Any] | None:
    """Return the result of the training on all of the held-out text, if it is of this model."""
    if model.directory is None:
        return model.table.get("evaluation")
    try:
        found = RunDirectory(model.directory).evaluation((model.newest or model.table)["step"])
    except (CharRNNError, ValueError):
        return None
    is_of_model = found is not None and found.get("model", {}).get("step") == model.table["step"]
    return found if is_of_model else None


def _without_folders_of_another_run(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result in which the run that the training started from has only a name."""
    old = result.get("forgetting")
    if not isinstance(old, Mapping):
        return result
    names = {name: Path(str(old.get(name))).name for name in ("run", "text")}
    return {**result, "forgetting": {**old, **names}}


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
