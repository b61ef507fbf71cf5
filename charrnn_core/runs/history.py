"""Everything that the directory of a run tells of its training, read without jax."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn_core.errors import CharRNNError, RunDirectoryError
from charrnn_core.files.atomic import explained, user_path
from charrnn_core.files.regular import own
from charrnn_core.runs.course import Course
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.metrics import read_course, read_rows
from charrnn_core.runs.overview import Overview, newest, overview
from charrnn_core.runs.settings_file import read_toml

_ANY_STEP = 2**31 - 1


@dataclass(frozen=True)
class Sample:
    """What a model wrote while it learnt, after `step` updates."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True, kw_only=True)
class History:
    """What is known of the training of a run.

    Arguments:
        overview: what a list says of it.
        course: its losses, up to now.
        samples: what it wrote, by update.
        settings: its configuration.
        environment: the versions and the machine that it was trained with.
        evaluation: the contents of ``evaluation.json``; None before a training has ended.
        incidents: how many updates were not finite.
    """

    overview: Overview
    course: Course
    samples: Sequence[Sample] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    evaluation: Mapping[str, Any] | None = None
    incidents: int = 0

    @property
    def unit(self) -> str:
        """What the model predicts: ``"character"`` or ``"byte"``."""
        return "byte" if self.settings.get("alphabet") == "bytes" else "character"


def read_history(path: Path) -> History:
    """Read what is known of a run, whatever state it is in; what is damaged is left out.

    Raises:
        RunDirectoryError: it is not the directory of a run.
        StorageError: it cannot be read.
    """
    path = user_path(path)
    directory = RunDirectory(path)
    with explained("read", path):
        is_run = path.is_dir() and directory.is_run()
    if not is_run:
        raise RunDirectoryError(
            f"{path} is not a run directory; expected what 'charrnn run' wrote, such as those that "
            "'charrnn runs' lists"
        )
    _, header = newest(directory)
    table: Mapping[str, Any] = header.table if header else {}
    samples = [
        Sample(row["step"], str(row.get("prompt", "")), str(row["text"]))
        for row in read_rows(directory.samples_file)
        if isinstance(row.get("step"), int) and "text" in row
    ]
    return History(
        overview=overview(path),
        course=read_course(directory.metrics_file, {**table, "step": _ANY_STEP}, 0),
        samples=samples,
        settings=table["config"] if table else _settings(directory),
        environment={**_made_with(table), **table.get("environment", {})},
        evaluation=_evaluation(directory, table),
        incidents=sum(1 for _ in read_rows(directory.incidents_file)),
    )


def _settings(directory: RunDirectory) -> Mapping[str, Any]:
    with contextlib.suppress(CharRNNError):
        return read_toml(directory.config_file, own)
    return {}


def _made_with(table: Mapping[str, Any]) -> dict[str, str]:
    found = {"charrnn": table.get("charrnn"), "created": table.get("created")}
    return {name: value for name, value in found.items() if value}


def _evaluation(directory: RunDirectory, table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    with contextlib.suppress(CharRNNError, ValueError, KeyError):
        return directory.evaluation(table["loop"]["step"])
    return None
