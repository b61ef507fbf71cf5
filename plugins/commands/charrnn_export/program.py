"""The step of a model as StableHLO with its weights, which JAX reads without charrnn."""

import io
import json
import zipfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version

import jax
from jax import export

from charrnn_core.errors import CharRNNError, ExportError
from charrnn_export.about import about
from charrnn_export.agreement import checked
from charrnn_export.step import Step
from charrnn_export.target import Made
from charrnn_export.variant import Variant

PROGRAM, ABOUT = "step.jax", "about.json"
_PLATFORMS = ("cpu", "cuda", "tpu")
_MONTHS = 6
_NOT_YET_OUT = (
    ((0, 10, 2), date(2026, 6, 15)),
    ((0, 11, 0), date(2026, 7, 15)),
    ((0, 12, 0), date(2026, 10, 15)),
)
"""Versions of jaxlib, and a day shortly before each was on PyPI; a wheel does not say its date."""


def made(variant: Variant) -> Made:
    """Return a zip file with what `jax.export` has serialized, and a description in JSON.

    JAX promises that such a program can be run by versions of JAX up to six months newer than the
    one that made it, and up to three weeks older. What counts is when they were built.

    Raises:
        ExportError: jax.export refuses the step, or what it makes predicts something else.
        CharRNNError: a package is missing.

    Source: https://docs.jax.dev/en/latest/export/export.html, Compatibility guarantees.
    """
    try:
        import flatbuffers  # noqa: F401  # jax.export needs it, but JAX does not install it
    except ImportError as error:
        raise CharRNNError(f"{error.name} is missing; pip install 'charrnn[stablehlo]'") from None
    step = Step(variant.split)
    described = about(variant, step)
    try:
        exported = export.export(jax.jit(step), platforms=_PLATFORMS)(*step.arguments)
        program = bytes(exported.serialize())
    except (ValueError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"jax.export refuses this model: {reason}") from error
    remark = checked(variant, step, jax.jit(export.deserialize(bytearray(program)).call))
    jaxlib = version("jaxlib")
    until = readable_until(jaxlib)
    described |= {"jaxlib": jaxlib, "readable_until": until.isoformat()}
    return Made(_zipped(program, described), [remark, _said(jaxlib, until)])


def readable_until(jaxlib: str) -> date:
    """Return the day up to which JAX promises that its new versions read what this jaxlib made.

    Of a version that is not known here, the day is that of the newest known before it, which is too
    early rather than too late.

    >>> str(readable_until("0.10.2")), str(readable_until("0.11.3"))
    ('2026-12-15', '2027-01-15')
    """
    numbers = tuple(int(part) for part in jaxlib.split(".")[:3] if part.isdecimal())
    _, out = max(pair for pair in _NOT_YET_OUT if pair[0] <= max(numbers, _NOT_YET_OUT[0][0]))
    years, month = divmod(out.month - 1 + _MONTHS, 12)
    return out.replace(year=out.year + years, month=month + 1)


def _said(jaxlib: str, until: date) -> str:
    return (
        f"readable  always with jaxlib {jaxlib}, and by versions of JAX released until {until}, "
        "as JAX promises six months"
    )


def _zipped(program: bytes, described: dict[str, object]) -> bytes:
    file = io.BytesIO()
    text = json.dumps(described, indent=1, ensure_ascii=False).encode()
    members: Sequence[tuple[str, bytes]] = ((PROGRAM, program), (ABOUT, text))
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            entry = zipfile.ZipInfo(name)  # without the time, so that equal models are equal files
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return file.getvalue()
