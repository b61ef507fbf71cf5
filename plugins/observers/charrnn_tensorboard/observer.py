"""TensorBoard's event files of a run, in which nothing is lost or doubled when it is resumed."""

import math
from typing import TYPE_CHECKING, Any

from charrnn_core.errors import CharRNNError, CheckpointError, shown
from charrnn_core.events import Ended, Sampled, Started, Stepped
from charrnn_core.runs.directory import RunDirectory

if TYPE_CHECKING:
    from charrnn_tensorboard.files import EventFiles


def tensorboard(options: object) -> "TensorBoardObserver":
    """Return the observer.

    Raises:
        CharRNNError: tensorboardX is not installed.
    """
    del options  # there are none
    try:
        import tensorboardX  # noqa: F401  # told of before training begins
    except ImportError:
        raise CharRNNError("tensorboardX is missing; pip install 'charrnn[tensorboard]'") from None
    return TensorBoardObserver()


class TensorBoardObserver:
    """An observer that writes event files into ``observers/tensorboard/`` in the run directory.

    Each row of the metrics log is an event with its figures as scalars, at the same step; samples
    and settings are texts, and the settings are hyperparameters, too. A checkpoint stores the
    lengths of the files, so that a resumed run neither repeats nor lacks an event.
    """

    def __init__(self) -> None:
        self._files: EventFiles | None = None
        self._kept: dict[int, int] | None = None
        self._step = 0
        self._settings = ""

    def state(self) -> dict[str, Any]:
        """Flush the files to the storage medium; return their lengths."""
        files = self._files.flushed() if self._files else {}
        return {
            "files": [list(pair) for pair in files.items()],
            "step": self._step,
            "settings": self._settings,
        }

    def restore(self, state: Any) -> None:
        """Drop what was written after the checkpoint.

        Raises:
            CheckpointError: `state` did not return this state.
        """
        try:
            self._kept = {_whole(number): _whole(length) for number, length in state["files"]}
            self._step, self._settings = _whole(state["step"]), str(state["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint's lengths of TensorBoard's files are {shown(state)}; expected "
                "what this observer has saved: use another checkpoint"
            ) from error
        if self._files:
            self._files.cut_back(self._kept, self._step)

    def on_start(self, event: Started) -> None:
        from charrnn_tensorboard.files import EventFiles
        from charrnn_tensorboard.summaries import digest, of_settings

        self._files = EventFiles(RunDirectory(event.directory).observers / "tensorboard")
        if self._kept is None:  # it was not there when the checkpoint was saved, or nothing was
            self._step = event.step
            self._kept = self._files.lengths() if event.step else {}
        self._files.cut_back(self._kept, self._step)
        if (now := digest(event.config)) != self._settings:
            self._settings = now
            for summary in of_settings(event):
                self._files.add(summary, event.step)

    def on_step(self, event: Stepped) -> None:
        from charrnn_tensorboard.summaries import of_row

        self._add(of_row(event.table()), event.step)

    def on_sample(self, event: Sampled) -> None:
        from charrnn_tensorboard.summaries import of_sample

        self._add(of_sample(event), event.step)

    def on_end(self, event: Ended) -> None:
        from charrnn_tensorboard.summaries import of_result

        nats = event.held_out_nats_per_char
        is_over = event.reason in ("finished", "stopped early")
        if is_over and nats is not None and math.isfinite(nats):
            self._add(of_result(nats), event.step)
        if self._files:
            self._files.close()

    def _add(self, summary: Any, step: int) -> None:
        self._step = max(self._step, step)
        if self._files:
            self._files.add(summary, step)


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value
