"""The command ``charrnn export``; it imports what needs jax when it runs, to keep --help fast."""

from pathlib import Path

import click

from charrnn_core.devices import use_every_core
from charrnn_core.errors import OptionError
from charrnn_core.files.atomic import user_path, write_atomically
from charrnn_core.terminal import say, to_stderr
from charrnn_export.target import TARGETS, Target


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to", "target", type=click.Choice(list(TARGETS)), default="html", show_default=True,
    help=f"What to make: {'; '.join(f'{name} is {to.what}' for name, to in TARGETS.items())}.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="The file  [default: the run's name].")
@click.option("--float16", is_flag=True, help="Store numbers in half the space (html).")
@click.option(
    "--counts/--no-counts",
    default=None,
    help="Include the table of counts, or export the network alone "
    "(default: include it; in html, if it adds at most 1 MB).",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def export(
    run: Path, target: str, out: Path | None, float16: bool, counts: bool | None, best: bool
) -> None:
    """Make one file of the model of a RUN: a page, or what other programs read.

    The command measures on held-out text what it exports, and what it leaves out.
    """
    from charrnn_core.runs.opening import check_run

    to = TARGETS[target]
    if float16 and not to.float16:
        able = ", ".join(name for name, to in TARGETS.items() if to.float16)
        raise OptionError(
            f"--float16 cannot be had with --to {target}, which keeps numbers as they are; leave "
            f"it out, or use --to {able}"
        )
    check_run(run)
    path = _place(user_path(run), to, out, float16)
    use_every_core()
    from charrnn_core.runs.model import load
    from charrnn_export.variant import Variant

    model = load(run, last=not best)
    if not model.chosen.is_last:
        to_stderr(f"note: model from {model.chosen}")
    variant = Variant.of(model, counts, to.most_of_counts, float16=float16)
    made = to.make(variant)
    write_atomically(path, [made.data])
    for line in (*variant.remarks(), *made.remarks):
        say(line)
    say(f"wrote {path}, {len(made.data) / 1e6:.2f} MB; {to.use}")


def _place(run: Path, target: Target, out: Path | None, float16: bool) -> Path:
    """Return the file to write: by default one in this directory with the name of the run."""
    whole = run.resolve()
    stem = whole.name if whole.is_dir() else whole.stem
    path = user_path(out or f"{stem}{'.float16' if float16 else ''}.{target.suffix}")
    if path.resolve() == whole:
        raise OptionError(f"{path} is what is exported; give another file with --out")
    return path
