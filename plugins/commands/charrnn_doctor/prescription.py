"""The command to run: with the options and the filters that mend what was found."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from charrnn_core.console.program import command
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_doctor.finding import Finding

_PACKED = {".gz", ".xz", ".bz2"}


def prescribe(
    source: Ref, findings: Iterable[Finding], given: Sequence[str], registry: Registry
) -> str:
    """Return a command line that can be pasted.

    A single file goes through the filters of all findings that should be mended. Those of other
    sources cannot, and what mends them is in the findings.

    Arguments:
        source: the source, with the options that mend it.
        findings: what was found.
        given: the options of the run that the user chose.
        registry: the plugins.
    """
    found = list(findings)
    filters = [each for finding in found if finding.mend for each in finding.filters]
    usual = registry.resolve("source", Ref(source.use, source.argument)).options
    options = {name: str(v) for name, v in source.options.items() if str(v) != str(usual[name])}
    if not filters or not _is_plain_file(source):
        where = source.argument if source.use == "file" else source.table()["use"]
        return _run(str(where), options, given)
    # The filters read lines, in UTF-8.
    filters = [each for finding in found for each in finding.preparing] + filters
    encoding = options.pop("encoding", None)
    if encoding is not None:
        filters.insert(0, f"iconv -f {shlex.quote(encoding)} -t utf-8")
    first, *others = filters
    steps = [f"{first} < {shlex.quote(str(source.argument))}", *others]
    return " | ".join([*steps, _run("-", options, given)])


def _run(source: str, options: dict[str, str], given: Sequence[str]) -> str:
    pairs = [
        word for name, value in options.items() for word in ("--source-opt", f"{name}={value}")
    ]
    return command("run", "--source", source, *pairs, *given)


def _is_plain_file(source: Ref) -> bool:
    path = Path(source.argument or "").expanduser()
    return source.use == "file" and path.is_file() and path.suffix.lower() not in _PACKED
