"""Converts a checkpoint's step to ONNX in a process of its own: ``conversion MODEL GRAPH``.

Standard input has the description, in JSON, that is put into the file. jax2onnx replaces functions
of ``jax.numpy`` for as long as its process lives; no other code may meet them.
"""

import json
import sys
from pathlib import Path

from charrnn_core.files.atomic import write_atomically
from charrnn_core.terminal import printable, say_json

REFUSED = 3
"""The exit code if jax2onnx cannot convert the step; the last line of the output is the reason."""


def main() -> None:
    """Do what the command line says."""
    from charrnn_core.runs.model import load
    from charrnn_export.step import Step
    from charrnn_export.variant import Variant

    checkpoint, graph = map(Path, sys.argv[1:])
    step = Step(Variant.of(load(checkpoint), counts=True).split)
    arguments, described = step.arguments, json.loads(sys.stdin.read())
    import jax2onnx  # pyright: ignore[reportMissingImports]  # an extra
    import onnx  # pyright: ignore[reportMissingImports]  # an extra

    try:
        model = jax2onnx.to_onnx(
            lambda *arrays: tuple(step(*arrays)),
            arguments,
            model_name="charrnn",
            input_names=step.inputs,
            output_names=step.outputs,
        )
    except Exception as error:  # of whatever class its converters raise
        reason = printable(str(error)).strip().partition("\n")[0].rstrip(".")
        say_json(reason or type(error).__name__)
        raise SystemExit(REFUSED) from error
    onnx.helper.set_model_props(model, {"charrnn": json.dumps(described, ensure_ascii=False)})
    onnx.checker.check_model(model)
    write_atomically(graph, [model.SerializeToString()])


if __name__ == "__main__":
    main()
