"""The server's process: models are read, requests served, runs followed, all of it ended well."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from charrnn_core.errors import CharRNNError, OptionError
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.compiled import keep_programs
from charrnn_core.runs.model import load
from charrnn_core.runs.opening import open_model
from charrnn_core.terminal import say, to_stderr
from charrnn_serve.app import Server
from charrnn_serve.page import html
from charrnn_serve.served import Served

_LOOK_EVERY = 5.0
_SECONDS_TO_DRAIN = 30


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve; the arguments are those of the command."""

    host: str
    port: int
    token: str | None
    hosts: list[str]
    slots: int
    waiting: int
    seconds: float
    sampler: tuple[Ref, ...] | None
    reload: bool
    last: bool


def run_server(runs: Sequence[Path], settings: Settings) -> None:
    """Serve until a signal comes; then finish what has been begun.

    Raises:
        OptionError: two runs have one name, or the address cannot be listened at.
    """
    places = _named(runs)
    with _listening(settings) as address:
        _serve(places, settings, address)


def _serve(places: dict[str, Path], settings: Settings, address: socket.socket) -> None:
    keep_programs()
    models = {name: _read(name, run, settings) for name, run in places.items()}
    server = Server(
        models,
        token=settings.token,
        hosts=settings.hosts,
        seconds=settings.seconds,
        page=html(models, settings.token is not None),
    )
    server.app.router.lifespan_context = lambda app: _following(app, server, places, settings)
    config = uvicorn.Config(
        server.app,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_DRAIN,
    )
    host, port, *_ = address.getsockname()
    say(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    uvicorn.Server(config).run(sockets=[address])
    for served in server.models.values():
        served.batcher.close()


def _listening(settings: Settings) -> socket.socket:
    """Return a socket that listens where it should, before seconds are spent on models."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise OptionError(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror}; choose another "
            "--host or --port"
        ) from None


def _named(runs: Sequence[Path]) -> dict[str, Path]:
    """Return runs by the names of their directories."""
    places: dict[str, Path] = {}
    for run in runs:
        name = run.resolve().stem if run.is_file() else run.resolve().name
        if name in places:
            raise OptionError(f"two runs are called {name!r}; rename one, or serve it elsewhere")
        places[name] = run
    return places


def _read(name: str, run: Path, settings: Settings) -> Served:
    model = load(run, last=settings.last)
    say(f"{name}: {model.config.cell.use} with {model.parameters:,} parameters, {model.chosen}")
    return Served.of(
        name, model, slots=settings.slots, waiting=settings.waiting, sampler=settings.sampler
    )


@contextlib.asynccontextmanager
async def _following(
    app: Starlette, server: Server, places: dict[str, Path], settings: Settings
) -> AsyncIterator[None]:
    """Read runs again that have a newer model, while the server lives."""
    task = asyncio.create_task(_follow(server, places, settings)) if settings.reload else None
    yield
    if task:
        task.cancel()


async def _follow(server: Server, places: dict[str, Path], settings: Settings) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        for name, run in places.items():
            before = server.models[name]
            try:
                opened = await asyncio.to_thread(open_model, run, lambda line: None, settings.last)
                if opened.checkpoint.table["step"] == before.model.table["step"]:
                    continue
                after = await asyncio.to_thread(_read, name, run, settings)
            except CharRNNError as error:
                to_stderr(f"note: {name} stays as it is: {error}")
                continue
            server.models = {**server.models, name: after}
            # What it has begun, it finishes.
            asyncio.get_running_loop().run_in_executor(None, before.batcher.close)
