"""The command ``charrnn tune``; it imports what it needs when it runs, to keep --help fast."""

import shlex
import sys
from pathlib import Path

import click

from charrnn_core.devices import use_every_core
from charrnn_core.files.atomic import user_path
from charrnn_core.terminal import say, say_json, to_stderr

_LOCK_SECONDS = 0.2


@click.command()
@click.option("--source", metavar="SPEC", help="The training text  [default: python-docs]")
@click.option("--split", metavar="NAME", help="The part to hold out  [default: last-10%]")
@click.option(
    "--budget",
    default="20m",
    show_default=True,
    metavar="20m|chars=20M",
    help="Length of the whole tuning, in time or characters.",
)
@click.option("--cells", metavar="LIST", help="Cells to try, separated by commas  [lstm,gru]")
@click.option("--trials", type=click.IntRange(2, 999), help="Trials to begin  [by the budget]")
@click.option(
    "--how",
    type=click.Choice(["random", "tpe"]),
    default="random",
    show_default=True,
    help="How trials are chosen; tpe needs optuna.",
)
@click.option("--seed", type=click.IntRange(0), help="Random seed of choices and trainings.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Read other settings from a TOML file."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Results directory  [default: runs/tune-...]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def tune(
    source: str | None,
    split: str | None,
    budget: str,
    cells: str | None,
    trials: int | None,
    how: str,
    seed: int | None,
    config: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find settings that suit a text: charrnn tune --source my.txt --budget 20m

    Begins many trainings, goes on with the best third of them, three times as long, and so on; none
    is trained twice. Run the same command again to go on with a tuning that was interrupted. The
    winner's settings are written for charrnn run --config.
    """
    from charrnn_tune.plan import make_plan

    listed = [] if cells is None else [cell.strip() for cell in cells.split(",")]
    plan = make_plan(budget, source=source, split=split, cells=listed, trials=trials, seed=seed,
                     config=config, how=how)  # fmt: skip
    out = user_path(out or plan.directory())
    use_every_core(least=plan.common.shards or 1)
    from charrnn_core.files.atomic import locked, make_directory
    from charrnn_core.registry.registry import Registry
    from charrnn_core.signals import Interrupt
    from charrnn_tune import report
    from charrnn_tune.journal import Journal
    from charrnn_tune.progress import Display
    from charrnn_tune.trial import TuningInterrupted
    from charrnn_tune.tuning import Tuning

    interrupt = Interrupt(lambda line: say(line, err=True))
    make_directory(out)
    try:
        with locked(out / ".lock", timeout=_LOCK_SECONDS):
            journal = Journal.opened(out / "journal.json", plan)
            tuning = Tuning(out, journal, Registry.installed(), interrupt)
            with Display(plan.units) as display:
                tuning.run(display.at)
            kept = report.keep(tuning)
    except TimeoutError as error:
        raise click.ClickException(
            f"another process is working on {out}; wait for it to end, or choose another --out"
        ) from error
    except TuningInterrupted:
        command = shlex.join(["charrnn", *sys.argv[1:]])
        to_stderr(f"interrupted: all is saved; go on with the same command: {command}")
        sys.exit(interrupt.exit_code)
    if as_json:
        say_json(report.table(tuning))
    else:
        say("\n".join(report.lines(tuning)))
    to_stderr(f"train it: charrnn run --config {shlex.quote(str(kept[0]))}")
