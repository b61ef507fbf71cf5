"""A benchmark and its directory: begin it, resume it, read its results."""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from charrnn_bench.budget import check_budget
from charrnn_bench.plan import FIRST_UPDATE, Plan
from charrnn_bench.progress import Display
from charrnn_bench.results import Row, make_rows, read_outcome
from charrnn_bench.survey import Survey, take_survey
from charrnn_bench.trainings import CellTraining, all_trainings
from charrnn_core.errors import OptionError, RunDirectoryError
from charrnn_core.files.atomic import (
    explained,
    is_locked,
    locked,
    make_directory,
    write_atomically,
)
from charrnn_core.files.regular import read_own
from charrnn_core.jobs.parallel import Jobs
from charrnn_core.jobs.process import Ending, Surroundings, train
from charrnn_core.jobs.stopping import Interruption
from charrnn_core.terminal import number, to_stderr

SETTINGS = "settings.toml"
"""The name of the file of the settings that all trainings share."""

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
    def opened(
        cls, plan: Plan | None, directory: Path, command: str, shared: bool = False
    ) -> Iterator["Benchmark"]:
        """Begin a benchmark, or resume the one in the directory, with a lock on the directory.

        Of several processes that begin it at the same time, one does so and the others wait.

        Arguments:
            plan: what to compare; None takes the plan from the directory.
            directory: where it is kept.
            command: the command line.
            shared: whether others may work on it too, each on trainings of its own.

        Raises:
            OptionError: the directory has another plan; the message says what differs.
            RunDirectoryError: there is no plan, or another process is working on the benchmark.
            CharRNNError: a cell cannot be trained; nothing is written.
        """
        benchmark = cls._read(directory)
        if benchmark is None:
            if plan is None:
                raise RunDirectoryError(
                    f"{directory} has no benchmark to resume; begin one with --cells"
                )
            benchmark = cls._begin(plan, directory, command)
        if plan is None:
            for cell in benchmark.plan.cells:
                benchmark.plan.config(cell).resolve()  # its plugin may have been removed
        elif differences := plan.differences(benchmark.plan):
            raise OptionError(
                f"{directory} has another benchmark: {'; '.join(differences)}; use the same "
                "options, or only --out to resume it, or another --out"
            )
        make_directory(benchmark.directory / "trainings")
        with contextlib.nullcontext() if shared else benchmark._alone():
            yield benchmark

    @classmethod
    def _begin(cls, plan: Plan, directory: Path, command: str) -> "Benchmark":
        """Take the survey and write it down, unless another process does so meanwhile."""
        made = [path for path in (directory, *directory.parents) if not path.exists()]
        lock = make_directory(directory) / ".beginning.lock"
        if is_locked(lock):
            to_stderr("waiting for another process, which is preparing the same benchmark ...")
        try:
            with locked(lock):
                if (benchmark := cls._read(directory)) is None:
                    to_stderr("reading the text and building every cell ...")
                    benchmark = cls(directory, plan, take_survey(plan), command)
                    benchmark._write_settings()
                    benchmark._write()
                return benchmark
        except BaseException:  # leave nothing behind, unless others are at work
            with contextlib.suppress(OSError):
                lock.unlink()
                for path in made:
                    path.rmdir()
            raise

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

        table = tomli_w.dumps(self.plan.common())
        write_atomically(self.directory / SETTINGS, [table.encode()])

    @property
    def trainings(self) -> list[CellTraining]:
        """All trainings, in the order in which they run."""
        directory = self.directory.absolute()  # workers may be elsewhere
        shards = self.survey.shards
        return all_trainings(self.plan, directory / "trainings", directory / SETTINGS, shards)

    def train(self, index: int | None = None, jobs: int = 1, backend: str = "loky") -> int | None:
        """Run the trainings that are not done yet, including those that failed earlier.

        Arguments:
            index: the only one to run, if not all.
            jobs: how many at a time.
            backend: who starts them if there are several, see `charrnn_core.jobs.parallel`.

        Returns:
            The signal that interrupted it, or None.

        Raises:
            OptionError: as for `Plan.check`.
            BudgetError: the first training shows that the time is too short to compare anything.
            RunDirectoryError: another process is at work on a training.
        """
        self.plan.check(jobs, index)
        trainings = self.trainings if index is None else [self.trainings[index]]
        due = [training for training in trainings if not training.is_done()]
        if due and (len(due) < len(trainings) or index is not None):
            for line in self.survey.changes():
                to_stderr(line)
        with Display(len(trainings), len(trainings) - len(due)) as display:
            if jobs > 1:
                return self._train_in_jobs(due, jobs, backend, display)
            with Interruption() as interruption:
                for training in due:
                    if not interruption.has_come:
                        self._check_budget(trainings[0])
                        self._train_one(training, interruption, display)
        if index is not None:
            self._check_budget(trainings[0])
        return interruption.signal

    def _check_budget(self, first: CellTraining) -> None:
        """Check that the budget was long enough for the first training.

        Raises:
            BudgetError: it was not; the message says how long it has to be.
        """
        minutes = self.plan.settings.minutes
        if minutes is not None and first.is_done():
            outcome = read_outcome(first, self.survey.sha256)
            start_up = outcome.start_up if self.plan.clock == FIRST_UPDATE else None
            check_budget(60 * minutes, first.title, start_up, outcome.updates)

    @property
    def _surroundings(self) -> Surroundings:
        """What every training finds: as many devices as it needs, which may be more than cores."""
        shards = self.survey.shards
        return Surroundings.here(**({"JAX_NUM_CPU_DEVICES": str(shards)} if shards else {}))

    def _train_one(
        self, training: CellTraining, interruption: Interruption, display: Display
    ) -> None:
        began = time.monotonic()

        def show() -> None:
            share = training.share_done(self.plan.settings, time.monotonic() - began)
            display.at({training.title: share})

        ending = train(training, self._surroundings, interruption, show)
        if not ending.interrupted:
            display.ended(self._line(training, ending))

    def _train_in_jobs(
        self, due: Sequence[CellTraining], jobs: int, backend: str, display: Display
    ) -> int | None:
        def show(running: Sequence[CellTraining]) -> None:
            settings = self.plan.settings
            display.at({each.title: each.share_done(settings, 0.0) for each in running})

        def ended(training: CellTraining, ending: Ending) -> None:
            display.ended(self._line(training, ending))

        folder = self.directory.absolute()
        how = Jobs(jobs, folder / ".jobs.lock", self._surroundings, backend)
        return how.train(due, show, ended)

    def _line(self, training: CellTraining, ending: Ending) -> str:
        """Return what is said about a training that has ended."""
        bits = read_outcome(training, self.survey.sha256).bits_per_char
        if ending.error:
            result = f"failed: {ending.error}"
        elif bits is None:
            result = "failed"
        else:
            result = f"{number(bits, 4)} bits per {self.survey.unit}"
        times = f"{ending.kills} time{'s' if ending.kills > 1 else ''}"
        killed = f" (its process was killed {times})" if ending.kills else ""
        return f"{training.title}: {result}{killed}"

    def rows(self) -> list[Row]:
        """Return the rows of the table, from the files of the trainings."""
        return make_rows(
            self.survey, [read_outcome(item, self.survey.sha256) for item in self.trainings]
        )
