"""One command for every attempt at a run: the first begins it, the others go on.

So a scheduler that starts a job again, as often as it takes, needs to know nothing of runs.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from charrnn_core.errors import ResumeError
from charrnn_core.files.regular import own
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import BUDGETS, RunConfig
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.settings_file import read_toml
from charrnn_core.runs.writer import RunWriter
from charrnn_core.terminal import to_stderr

_MAY_DIFFER = {*BUDGETS, "observers"}


@contextlib.contextmanager
def attempt(
    config: RunConfig,
    out: Path,
    registry: Registry | None = None,
    note: Callable[[str], None] = to_stderr,
) -> Iterator[RunWriter]:
    """Claim a directory, or open the run that an earlier attempt has left there.

    Arguments:
        config: the run to train, as in every attempt.
        out: the directory.
        registry: the plugins to use; by default those installed.
        note: takes a line for each damaged checkpoint that was skipped.

    Raises:
        ResumeError: the run there was asked for with other settings; the budget may differ.
        CharRNNError: what `RunWriter.claim` and `RunWriter.resuming` raise.
    """
    registry = registry or Registry.installed()
    asked = config.resolve(registry).table()
    if not RunDirectory(out).is_run():
        with RunWriter.claim(config, out, registry) as writer:
            yield writer
        return
    with RunWriter.resuming(out, note) as writer:
        _check_same(writer, asked, registry)
        yield writer


def new_budget(writer: RunWriter, config: RunConfig) -> dict[str, Any]:
    """Return the budget that an attempt asks for if it is not the one that the run has."""
    asked, now = (
        {name: table[name] for name in BUDGETS if name in table}
        for table in (config.table(), read_toml(writer.config_file, own))
    )
    return {} if asked == now else asked


def _check_same(writer: RunWriter, asked: dict[str, Any], registry: Registry) -> None:
    if not writer.asked_file.exists():  # of a release that did not keep it
        return
    then = RunConfig.read(read_toml(writer.asked_file, own)).resolve(registry).table()
    for name in sorted((then.keys() | asked.keys()) - _MAY_DIFFER):
        if then.get(name) != asked.get(name):
            raise ResumeError(
                f"{writer.path} was begun with {name} {then.get(name)!r}, and is now asked for "
                f"with {asked.get(name)!r}; give the settings it was begun with, or another --out"
            )
