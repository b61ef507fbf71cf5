"""The step of a model as an ONNX graph with its weights, which ONNX Runtime runs."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn_core.errors import CharRNNError, ExportError
from charrnn_core.files.atomic import explained
from charrnn_core.files.checkpoint import save_checkpoint
from charrnn_core.files.regular import read_own
from charrnn_core.javascript.operations import source_of
from charrnn_core.javascript.split import Numbers, Split
from charrnn_core.registry.single_file import environment_for_children
from charrnn_core.runs.portable import portable
from charrnn_export import conversion
from charrnn_export.about import about
from charrnn_export.agreement import checked
from charrnn_export.step import Step
from charrnn_export.target import Made
from charrnn_export.variant import Variant

_NEEDS = ("jax2onnx", "onnx", "onnxruntime")
_ERRORS_ONLY = 3
_OF_ANY_SENTENCE = {"and", "not", "or"}
"""Primitives whose names say nothing."""


def made(variant: Variant) -> Made:
    """Return the file, after ONNX Runtime has read it and predicted what the model predicts.

    Raises:
        ExportError: jax2onnx lacks an operation, or what it made predicts something else.
        CharRNNError: a package is missing.
    """
    for package in _NEEDS:
        if importlib.util.find_spec(package) is None:
            raise CharRNNError(f"{package} is missing; pip install 'charrnn[onnx]'")
    step = Step(variant.split)
    data = _converted(variant, about(variant, step))
    return Made(data, [checked(variant, step, _reader(data, step))])


def _converted(variant: Variant, described: dict[str, Any]) -> bytes:
    """Have another process convert the step: jax2onnx changes jax.numpy where it is imported."""
    checkpoint = portable(variant.exported)
    with tempfile.TemporaryDirectory(prefix="charrnn-onnx-") as folder:
        model, graph = Path(folder) / "model.crn", Path(folder) / "model.onnx"
        save_checkpoint(model, checkpoint.table, checkpoint.arrays)
        done = subprocess.run(
            [sys.executable, "-P", "-m", conversion.__name__, str(model), str(graph)],
            input=json.dumps(described),
            env={**environment_for_children(os.environ), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            encoding="utf-8",
        )
        if done.returncode == conversion.REFUSED:
            raise _refused(variant.split, json.loads(done.stdout.splitlines()[-1]))
        if done.returncode != 0:
            said = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
            raise ExportError(f"the conversion to ONNX failed: {said}")
        with explained("read", graph):
            return read_own(graph, sys.maxsize)


def _refused(split: Split, reason: str) -> ExportError:
    """Return the error that says why, and where that is if the reason names an operation."""
    words = set(re.findall(r"\w+", reason)) - _OF_ANY_SENTENCE
    places = {source_of(each.source) for each in split.equations if each.name in words}
    where = places.pop() if len(places) == 1 else None
    place = f"{where}: " if where else ""
    return ExportError(
        f"{place}jax2onnx cannot convert this step to ONNX: {reason}; write this part of the step "
        "with other operations of jax.numpy, or use --to stablehlo"
    )


def _reader(data: bytes, step: Step) -> Any:
    """Return a function that runs the graph, or raises `ExportError` if it cannot be read."""
    import onnxruntime  # pyright: ignore[reportMissingImports]  # an extra

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        session: Any = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of classes that onnxruntime does not make public
        reason = str(error).partition("\n")[0]
        raise ExportError(
            f"ONNX Runtime cannot run what jax2onnx made of this step: {reason}; use --to stablehlo"
        ) from error

    def call(*arrays: Numbers) -> Sequence[Numbers]:
        return session.run(step.outputs, dict(zip(step.inputs, arrays, strict=True)))

    return call
