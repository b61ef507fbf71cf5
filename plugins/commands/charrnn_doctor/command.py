"""The command ``charrnn doctor``; what reads a text is imported when it runs."""

import sys
import time
from typing import Any

import click

from charrnn_core.console.layout import room
from charrnn_core.terminal import emit, say_json, to_stderr


@click.command()
@click.argument("source", metavar="SOURCE", required=False)
@click.option("--source-opt", multiple=True, metavar="KEY=VALUE", help="Set an option of SOURCE.")
@click.option("--cell", metavar="SPEC", help="The cell that the run will have.")
@click.option("--split", metavar="NAME", help="How the run will split the text.")
@click.option("--chars", "characters", metavar="INT", help="How long the run will be.")
@click.option("--no-probe", is_flag=True, help="Do not build and time what a run would train.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def doctor(
    source: str | None, source_opt: tuple[str, ...], no_probe: bool, as_json: bool, **chosen: Any
) -> None:
    """Look at a text before a training; exit with 1 if something should be mended."""
    from charrnn_core.devices import use_every_core
    from charrnn_core.registry.registry import Registry
    from charrnn_core.runs.settings import read_settings
    from charrnn_doctor.examination import examine
    from charrnn_doctor.prescription import prescribe
    from charrnn_doctor.screen import lines

    registry = Registry.installed()
    settings = read_settings(
        None, {"source": source, **chosen}, {"source": source_opt}, registry=registry
    )
    if not as_json:
        to_stderr(f"reading {source or settings.source.use} ...")
    found = examine(settings, registry)
    if not no_probe:
        use_every_core()
        found = _probed(found, settings, registry)
    given = [word for k, v in chosen.items() if v is not None for word in (f"--{k}", v)]
    command = prescribe(found.source, found.findings, given, registry)
    if as_json:
        say_json(found.table(command))
    else:
        emit("".join(f"{line}\n" for line in lines(found, command, room())))
    sys.exit(1 if found.must_mend else 0)


def _probed(found: Any, settings: Any, registry: Any) -> Any:
    """Return the examination with what a run would do, which imports jax."""
    import dataclasses

    started = time.monotonic()
    from charrnn_doctor.default import probe

    return dataclasses.replace(found, default=probe(settings, found.corpus, registry, started))
