"""The command ``charrnn serve``; it imports what needs jax when it runs, to keep --help fast."""

from collections.abc import Sequence
from pathlib import Path

import click

from charrnn_core.devices import use_every_core
from charrnn_core.errors import CharRNNError, OptionError
from charrnn_core.registry.spec import parse_refs
from charrnn_core.terminal import to_stderr

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--token",
    envvar="CHARRNN_TOKEN",
    help="What requests have to know; needed at an address that others reach. It is better kept "
    "in the variable CHARRNN_TOKEN.",
)
@click.option(
    "--name", "names", multiple=True, help="Another name under which the server is asked."
)
@click.option(
    "--slots",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="How many samples are written at once.",
)
@click.option(
    "--waiting",
    default=128,
    show_default=True,
    type=click.IntRange(0),
    help="How many samples may wait; others are told to try again.",
)
@click.option(
    "--seconds",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="How long a request may take.",
)
@click.option(
    "--sampler",
    metavar="SPEC",
    help="What shapes a request that names no temperature  [default: the run's].",
)
@click.option("--reload", is_flag=True, help="Follow runs that are still being trained.")
@click.option(
    "--best/--last",
    default=True,
    show_default=True,
    help="Use the model with the least held-out loss, or the last one.",
)
def serve(
    runs: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    slots: int,
    waiting: int,
    seconds: float,
    sampler: str | None,
    reload: bool,
    best: bool,
) -> None:
    """Serve the models of RUNs over HTTP, to programs that speak OpenAI's completions.

    A page to try them is at the address that is printed. Many requests are written side by side;
    each writes what it would write alone.
    """
    from charrnn_core.runs.opening import check_run

    for run in runs:
        check_run(run)
    if token is None and host not in _LOOPBACK:
        raise OptionError(
            f"--host {host} can be reached by others; add --token TOKEN, or listen at 127.0.0.1"
        )
    if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
        raise OptionError("the token is empty or not printable ASCII; expected letters and digits")
    refs = None if sampler is None else parse_refs(sampler)
    try:
        import starlette  # noqa: F401  # told of before seconds of loading
        import uvicorn  # noqa: F401  # the same
    except ImportError as error:
        raise CharRNNError(f"{error.name} is missing; pip install 'charrnn[serve]'") from None
    to_stderr(f"loading {', '.join(map(str, runs))} ...")
    use_every_core()
    from charrnn_serve.running import Settings, run_server

    run_server(
        runs,
        Settings(
            host=host,
            port=port,
            token=token,
            hosts=_hosts(host, names),
            slots=slots,
            waiting=waiting,
            seconds=seconds,
            sampler=refs,
            reload=reload,
            last=not best,
        ),
    )


def _hosts(host: str, names: Sequence[str]) -> list[str]:
    """Return what the Host header may say, where an address of IPv6 stands in brackets."""
    if host in ("0.0.0.0", "::"):
        return ["*"]
    return [f"[{name}]" if ":" in name else name for name in (*_LOOPBACK, host, *names)]
