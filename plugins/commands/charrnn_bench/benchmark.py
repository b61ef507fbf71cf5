"""A benchmark and its directory: begin it, resume it, read its results."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from charrnn_bench.budget import check_budget
from charrnn_bench.plan import FIRST_UPDATE, Plan
from charrnn_bench.progress import Display
from charrnn_bench.results import Row, make_rows, read_outcome
from charrnn_bench.survey import Survey, take_survey
from charrnn_bench.trainings import Interruption, Training, all_trainings, share_done, train
from charrnn_core.errors import OptionError, RunDirectoryError
from charrnn_core.files.atomic import explained, locked, make_directory, write_atomically
from charrnn_core.files.regular import read_own
from charrnn_core.terminal import number, to_stderr

_LOCK_SECONDS = 0.2


@dataclass(frozen=True)
class Benchmark:
    """A benchmark in its directory.

    ``bench.json`` has the plan and the survey, ``settings.toml`` the settings that all trainings
    share; the trainings are in ``trainings/``.

    Arguments:
        directory: where it is kept.
        plan: what to compare.
        survey: facts gathered before the first training.
        command: the command line that began it.
    """

    directory: Path
    plan: Plan
    survey: Survey
    command: str

    @classmethod
    @contextlib.contextmanager
    def opened(cls, plan: Plan | None, directory: Path, command: str) -> Iterator["Benchmark"]:
        """Begin a benchmark, or resume the one in the directory, with a lock on the directory.

        Arguments:
            plan: what to compare; None takes the plan from the directory.
            directory: where it is kept.
            command: the command line.

        Raises:
            OptionError: the directory has another plan; the message says what differs.
            RunDirectoryError: there is no plan, or another process is working on the benchmark.
            CharRNNError: a cell cannot be trained; nothing is written.
        """
        benchmark = kept = cls._read(directory)
        if benchmark is None:
            if plan is None:
                raise RunDirectoryError(
                    f"{directory} has no benchmark to resume; begin one with --cells"
                )
            to_stderr("reading the text and building every cell ...")
            benchmark = cls(directory, plan, take_survey(plan), command)
        elif plan is None:
            for cell in benchmark.plan.cells:
                benchmark.plan.config(cell).resolve()  # its plugin may have been removed
        elif differences := plan.differences(benchmark.plan):
            raise OptionError(
                f"{directory} has another benchmark: {'; '.join(differences)}; use the same "
                "options, or only --out to resume it, or another --out"
            )
        with benchmark._alone():
            if kept is None:
                benchmark._write()
            benchmark._write_settings()
            yield benchmark

    @classmethod
    def _read(cls, directory: Path) -> "Benchmark | None":
        file = directory / "bench.json"
        with explained("read", file):
            try:
                data = read_own(file)
            except FileNotFoundError:
                return None
        try:
            table = json.loads(data)
            plan, survey = Plan.read(table["plan"]), Survey.read(table["survey"])
            return cls(directory, plan, survey, str(table["command"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RunDirectoryError(
                f"{file} was not written by 'charrnn bench': {error}; choose another --out"
            ) from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        make_directory(self.directory / "trainings")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.directory / ".lock", timeout=_LOCK_SECONDS))
            except TimeoutError as error:
                raise RunDirectoryError(
                    f"another process is working on {self.directory}; wait for it to end, or "
                    "choose another directory with --out"
                ) from error
            yield

    def _write(self) -> None:
        survey = self.survey.table()
        table = {"command": self.command, "plan": self.plan.table(), "survey": survey}
        write_atomically(self.directory / "bench.json", [json.dumps(table, indent=2).encode()])

    def _write_settings(self) -> None:
        import tomli_w

        write_atomically(self._settings, [tomli_w.dumps(self.plan.common()).encode()])

    @property
    def _settings(self) -> Path:
        return self.directory / "settings.toml"

    @property
    def trainings(self) -> list[Training]:
        """All trainings, in the order in which they run."""
        return all_trainings(self.plan, self.directory / "trainings")

    def train(self) -> int | None:
        """Run the trainings that are not done yet, including those that failed earlier.

        Returns:
            The signal that interrupted it, or None.

        Raises:
            BudgetError: the first training shows that the time is too short to compare anything.
        """
        trainings = self.trainings
        due = [training for training in trainings if not training.is_done()]
        if due and len(due) < len(trainings):
            for line in self.survey.changes():
                to_stderr(line)
        with (
            Interruption() as interruption,
            Display(len(trainings), len(trainings) - len(due)) as display,
        ):
            for training in due:
                if interruption.signal is None:
                    self._check_budget(trainings[0])
                    self._train_one(training, interruption, display)
        return interruption.signal

    def _check_budget(self, first: Training) -> None:
        """Check that the budget was long enough for the first training.

        Raises:
            BudgetError: it was not; the message says how long it has to be.
        """
        minutes = self.plan.settings.minutes
        if minutes is not None and first.is_done():
            outcome = read_outcome(first, self.survey.sha256)
            start_up = outcome.start_up if self.plan.clock == FIRST_UPDATE else None
            check_budget(60 * minutes, first.title, start_up, outcome.updates)

    def _train_one(self, training: Training, interruption: Interruption, display: Display) -> None:
        settings = self.plan.settings
        show = partial(_show, training, self.plan, display, time.monotonic())
        apart = settings.minutes is not None and self.plan.clock == FIRST_UPDATE
        error = train(training, self._settings, settings.minutes is None, interruption, show, apart)
        if interruption.signal is None:
            bits = read_outcome(training, self.survey.sha256).bits_per_char
            if error:
                result = f"failed: {error}"
            elif bits is None:
                result = "failed"
            else:
                result = f"{number(bits, 4)} bits per {self.survey.unit}"
            display.ended(f"{training.title}: {result}")

    def rows(self) -> list[Row]:
        """Return the rows of the table, from the files of the trainings."""
        return make_rows(
            self.survey, [read_outcome(item, self.survey.sha256) for item in self.trainings]
        )


def _show(training: Training, plan: Plan, display: Display, began: float) -> None:
    seconds = time.monotonic() - began
    display.at(training.title, share_done(training, plan.settings, seconds))
