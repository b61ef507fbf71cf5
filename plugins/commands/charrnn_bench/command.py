"""The command ``charrnn bench``; it imports what it needs when it runs, to keep --help fast."""

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charrnn_core.console.layout import room
from charrnn_core.files.atomic import user_path
from charrnn_core.terminal import emit, say, to_stderr

if TYPE_CHECKING:
    from charrnn_bench.benchmark import Benchmark
    from charrnn_bench.results import Row


@click.command()
@click.option("--cells", multiple=True, metavar="LIST", help="Cells, separated by commas.")
@click.option(
    "--cell",
    multiple=True,
    metavar="SPEC",
    help="A cell whose spec may contain commas: stacked:lstm:64,gru:64; may be repeated.",
)
@click.option("--source", metavar="SPEC", help="The training text  [default: python-docs]")
@click.option("--split", metavar="NAME", help="The part to hold out  [default: last-10%]")
@click.option(
    "--budget",
    multiple=True,
    metavar="60s|chars=50M|params=1M",
    help="Length of each training in time or characters, and size of its network; may be "
    "repeated.  [default: 60s]",
)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), help="Training runs of each cell  [default: 3]"
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Read other settings from a TOML file, as run does.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Results directory  [default: runs/bench-...]"
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Training runs at a time, of this machine.  [default: 1]"
)
@click.option(
    "--backend",
    type=click.Choice(["loky", "dask", "ray"]),
    help="Who starts the jobs: dask and ray do so on their cluster.  [default: loky]",
)
@click.option(
    "--index",
    type=int,
    metavar="INT",
    help="Run only this training, from 0 to cells x seeds - 1, as in a job array.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(
    cells: tuple[str, ...],
    cell: tuple[str, ...],
    source: str | None,
    split: str | None,
    budget: tuple[str, ...],
    seeds: int | None,
    config: Path | None,
    out: Path | None,
    jobs: int | None,
    backend: str | None,
    index: int | None,
    as_json: bool,
) -> None:
    """Compare cells: charrnn bench --cells elman,lstm --budget 60s

    Trains each cell with the same budget, once per seed, as charrnn run does. The table and the
    learning curves are stored in the results directory. Run the same command again, or with only
    --out, to resume a benchmark that was interrupted or to retry training runs that failed.

    With --jobs, several train at a time. With --index, which differs for each process of a job
    array, one is trained and no table made; the same command without it makes the table.
    """
    _check_together(jobs, backend, index, as_json)
    from charrnn_bench.benchmark import Benchmark
    from charrnn_bench.plan import make_plan

    command = shlex.join(["charrnn", *sys.argv[1:]])
    plan = None
    if out is None or any((cells, cell, source, split, budget, seeds, config)):
        plan = make_plan(
            cells, cell, source=source, split=split, budget=budget, seeds=seeds, config=config
        )
        plan.check(jobs or 1, index)
        out = out or plan.directory()
    out = user_path(out)
    with Benchmark.opened(plan, out, command, shared=index is not None) as benchmark:
        interrupted = benchmark.train(index, jobs or 1, backend or "loky")
        if interrupted is not None:
            done = [training.is_done() for training in benchmark.trainings]
            to_stderr(
                f"interrupted: {sum(done)} of {len(done)} trainings are done and kept; resume with "
                f"the same command: {command}"
            )
            sys.exit(128 + interrupted)
        if index is not None:
            sys.exit(_report_one(benchmark, index))
        rows = benchmark.rows()
        _report(benchmark, rows, as_json)
    sys.exit(1 if any(row.errors for row in rows) else 0)


def _check_together(
    jobs: int | None, backend: str | None, index: int | None, as_json: bool
) -> None:
    """Refuse options that do not go together, before anything is read."""
    if index is not None and (jobs is not None or as_json):
        other = "--json" if jobs is None else "--jobs"
        raise click.UsageError(f"--index trains one run and makes no table; leave out {other}")
    if backend is not None and jobs is None:
        raise click.UsageError("--backend needs --jobs; add --jobs INT")
    if jobs is not None:
        from charrnn_core.jobs.parallel import check_backend

        check_backend(backend or "loky")


def _report_one(benchmark: "Benchmark", index: int) -> int:
    """Say which training was run and how to make the table; return the exit code."""
    training = benchmark.trainings[index]
    done = [each.is_done() for each in benchmark.trainings]
    to_stderr(
        f"training {index} of 0 to {len(done) - 1}, {training.title}, "
        f"{'is done' if done[index] else 'has failed'}; {sum(done)} of {len(done)} are done; the "
        f"table: charrnn bench --out {shlex.quote(str(benchmark.directory))}"
    )
    return 0 if done[index] else 1


def _report(benchmark: "Benchmark", rows: "list[Row]", as_json: bool) -> None:
    """Print the table, and keep it and the learning curves."""
    from charrnn_bench import table
    from charrnn_bench.screen import text
    from charrnn_core.files.atomic import write_atomically

    about = (benchmark.plan, benchmark.survey, rows, benchmark.command)
    data = json.dumps(table.plain(*about), indent=2)
    write_atomically(benchmark.directory / "results.md", [table.markdown(*about).encode()])
    write_atomically(benchmark.directory / "results.json", [data.encode()])
    if as_json:
        emit(f"{data}\n")
    else:
        say("\n".join(text(*about, room())))
    if importlib.util.find_spec("matplotlib") is None:
        lacking = "matplotlib is missing; pip install 'charrnn[plot]'"
        to_stderr(f"note: no learning curves: {lacking}")
    else:
        from charrnn_bench.curves import draw

        draw(rows, benchmark.directory, table.heading(*about[:2]), benchmark.survey.unit)
    to_stderr(f"saved in {shlex.quote(str(benchmark.directory))}")
