"""The commands ``compress`` and ``decompress``; they import what needs jax when they run."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charrnn_core.console.program import command
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import OptionError
from charrnn_core.files.atomic import explained, user_path, write_atomically
from charrnn_core.files.regular import read_named
from charrnn_core.terminal import say, to_stderr

if TYPE_CHECKING:
    from charrnn_core.runs.model import Model

_SUFFIX = ".crz"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with", "run", type=click.Path(path_type=Path), help="The run that predicts.")
@click.option("--adaptive", is_flag=True, help="Use no run; learn from FILE while coding it.")
@click.option("--out", type=click.Path(path_type=Path), help="The result  [default: FILE.crz]")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decompress what was compressed, and compare, before it is written.",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def compress(
    file: Path, run: Path | None, adaptive: bool, out: Path | None, verify: bool, best: bool
) -> None:
    """Compress a FILE of any kind, without loss, with what a model predicts.

    The model is that of a run, which is then needed to decompress; or, with --adaptive, one that
    learns from the file itself. The file is had back on the same kind of machine, with the same
    versions of jax and charrnn.
    """
    if adaptive == (run is not None):
        raise OptionError(
            "expected either --with RUN, the run whose model predicts, or --adaptive, a model that "
            "learns from the file"
        )
    file = user_path(file)
    path = _place(file, out, file.with_name(file.name + _SUFFIX))
    model = _model(run, best)
    data = _read(file)
    from charrnn_core.compression.archive import compress as compressed
    from charrnn_core.console.bar import Bar

    with kept_clean(), Bar(total=1.0) as bar:
        shown = functools.partial(bar.show, line="compressing")
        written = compressed(data, model, verify=verify, progress=shown)
    write_atomically(path, [written])
    bits = f"{8 * len(written) / len(data):.3f} bits per byte" if data else "of nothing"
    checked = "verified" if verify else "not verified"
    say(f"wrote {path}: {len(written):,} bytes for {len(data):,}, {bits}; {checked}")
    needed = () if run is None else ("--with", run)
    say(f"have it back with: {command('decompress', path, *needed)}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--with", "run", type=click.Path(path_type=Path), help="The run that it needs, if any."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The result  [default: FILE without .crz]"
)
@click.option(
    "--anyway",
    is_flag=True,
    help="Try even if other versions or another kind of machine compressed it.",
)
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def decompress(file: Path, run: Path | None, out: Path | None, anyway: bool, best: bool) -> None:
    """Write what was compressed to FILE, byte by byte the same; whatever else is an error."""
    file = user_path(file)
    if out is None and file.suffix != _SUFFIX:
        raise OptionError(
            f"{file} does not end in {_SUFFIX}, so the name of the original is not known; give one "
            "with --out"
        )
    path = _place(file, out, file.with_suffix(""))
    model = _model(run, best)
    data = _read(file)
    from charrnn_core.compression.archive import decompress as decompressed
    from charrnn_core.console.bar import Bar

    with kept_clean(), Bar(total=1.0) as bar:
        shown = functools.partial(bar.show, line="decompressing")
        original = decompressed(data, model, name=str(file), anyway=anyway, progress=shown)
    write_atomically(path, [original])
    say(f"wrote {path}: {len(original):,} bytes, which are those that were compressed")


def _place(file: Path, out: Path | None, default: Path) -> Path:
    """Return the file to write; what is not named is not written over."""
    path = default if out is None else user_path(out)
    if out is None and path.exists():
        raise OptionError(f"{path} is there already; remove it, or give another file with --out")
    if path.resolve() == file.resolve():
        raise OptionError(f"{path} is what is read; give another file with --out")
    return path


def _read(file: Path) -> bytes:
    with explained("read", file):
        return read_named(file)


def _model(run: Path | None, best: bool) -> "Model | None":
    """Load what predicts; None without a run."""
    if run is None:
        return None
    from charrnn_core.runs.opening import check_run

    check_run(run)
    from charrnn_core.runs.model import load

    model = load(run, last=not best)
    if not model.chosen.is_last:
        to_stderr(f"note: model from {model.chosen}")
    return model
