"""What the files of a run say of its model."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from charrnn_core.errors import CharRNNError
from charrnn_core.evaluation.report import Evaluation
from charrnn_core.files.atomic import user_path
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.model import describe_run
from charrnn_core.terminal import one_line, printable


@dataclass(frozen=True)
class Facts:
    """What is known of a model.

    Arguments:
        name: what it is called.
        table: from `charrnn_core.runs.model.describe_run`.
        result: on all of the held-out text; None if that was not measured, or of another model.
    """

    name: str
    table: Mapping[str, Any]
    result: Evaluation | None

    @classmethod
    def read(cls, run: Path, last: bool, title: str | None) -> "Facts":
        """Read a run directory, a checkpoint, or a file of safetensors.

        Raises:
            StorageError: it cannot be read, or holds no model.
        """
        table = describe_run(run, last=last)
        whole = user_path(run).resolve()
        name = whole.name if whole.is_dir() else whole.stem
        return cls(one_line(printable(title or name)), table, _result(whole, table))

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of the run."""
        return self.table["config"]

    @property
    def unit(self) -> str:
        """What the model predicts: ``"character"`` or ``"byte"``."""
        return "byte" if self.config.get("alphabet") == "bytes" else "character"

    @property
    def text(self) -> str:
        """The name of the text; of a file, not the folder, which is nobody's business."""
        return PurePath(self.table["corpus"]["name"].removeprefix("file:")).name

    @property
    def excerpt(self) -> float | None:
        """The held-out nats on the excerpt that was scored while the model learnt."""
        nats = self.table.get("held_out_nats_per_char")
        return nats if isinstance(nats, float) else None


def _result(path: Path, table: Mapping[str, Any]) -> Evaluation | None:
    """Return the result at the end of the training, if it is that of this model."""
    found = table.get("evaluation")
    if path.is_dir():
        found = None
        with contextlib.suppress(CharRNNError, ValueError, KeyError):
            found = RunDirectory(path).evaluation(table["loop"]["step"])
    if found is None or found.get("model", {}).get("step") != table["step"]:
        return None
    # Another program may have written it.
    with contextlib.suppress(KeyError, TypeError, ValueError, IndexError, AttributeError):
        return Evaluation.read(found)
    return None
