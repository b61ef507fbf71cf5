"""What a model can be made into."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn_export.variant import Variant


@dataclass(frozen=True)
class Made:
    """A file that was made of a model.

    Arguments:
        data: its bytes.
        remarks: what a reader should know of it, line by line.
    """

    data: bytes
    remarks: Iterable[str] = ()


@dataclass(frozen=True)
class Target:
    """A format.

    Arguments:
        make: makes the file.
        suffix: the end of its name, without the first dot.
        what: what the file is, for --help.
        use: what can be done with it, said at the end.
        float16: whether numbers can be stored in half the space.
        most_of_counts: the most bytes that a table of counts may add without being asked for; None
            for any.
    """

    make: Callable[["Variant"], Made]
    suffix: str
    what: str
    use: str
    float16: bool = False
    most_of_counts: int | None = None


def _html(variant: "Variant") -> Made:
    from charrnn_export.page import made

    return made(variant)


def _safetensors(variant: "Variant") -> Made:
    from charrnn_export.weights import made

    return made(variant)


def _onnx(variant: "Variant") -> Made:
    from charrnn_export.graph import made

    return made(variant)


def _stablehlo(variant: "Variant") -> Made:
    from charrnn_export.program import made

    return made(variant)


TARGETS = {
    "html": Target(
        _html,
        "html",
        "a page that writes text in any browser, offline",
        "open it in any browser",
        float16=True,
        most_of_counts=1_000_000,
    ),
    "safetensors": Target(
        _safetensors,
        "safetensors",
        "the weights, which charrnn loads again",
        "sample, score, eval, info and run --init-from read it",
    ),
    "onnx": Target(
        _onnx,
        "onnx",
        "the step, for ONNX Runtime",
        "read it with onnxruntime",
    ),
    "stablehlo": Target(
        _stablehlo,
        "stablehlo.zip",
        "the step, for programs in JAX",
        "read it with jax.export.deserialize",
    ),
}
"""The formats by their names."""
