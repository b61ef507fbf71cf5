"""The trainings of a benchmark: each cell with each seed."""

from dataclasses import dataclass
from pathlib import Path

from charrnn_bench.plan import FIRST_UPDATE, Plan, label
from charrnn_core.jobs.training import Training


@dataclass(frozen=True, kw_only=True)
class CellTraining(Training):
    """One training of a benchmark.

    Arguments:
        cell, seed: what is trained.
    """

    cell: str
    seed: int


def all_trainings(
    plan: Plan, directory: Path, settings: Path, shards: int | None = None
) -> list[CellTraining]:
    """Return every training of a plan, seed by seed, so that an early end covers all cells.

    Arguments:
        plan: the plan.
        directory: the directory of all of them.
        settings: the TOML file of the settings that all trainings share.
        shards: how many devices share the streams; None lets each see what its machine has.

    >>> from charrnn_core import RunConfig
    >>> plan = Plan(("elman:8", "gru"), 2, RunConfig(minutes=1))
    >>> trainings = all_trainings(plan, Path("runs/b"), Path("runs/settings.toml"))
    >>> [training.directory.name for training in trainings][1:3]
    ['2-gru-seed-0', '1-elman-8-seed-1']
    >>> trainings[2].title
    'elman:8, seed 1'
    """
    timed = plan.settings.minutes is not None
    more = ["--from-first-update"] if timed and plan.clock == FIRST_UPDATE else []
    if shards is not None:
        more += ["--shards", str(shards)]
    return [
        CellTraining(
            title=f"{cell}, seed {seed}",
            directory=directory / f"{number}-{label(cell)}-seed-{seed}",
            options=("--config", str(settings), "--cell", cell, "--seed", str(seed), *more),
            resumable=not timed,
            cell=cell,
            seed=seed,
        )
        for seed in range(plan.seeds)
        for number, cell in enumerate(plan.cells, 1)
    ]
