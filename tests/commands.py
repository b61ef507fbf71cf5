"""The command line in this process, as it would be in one of its own, without seconds of imports.

What belongs to a process is put in place for a command and put back after it: the arguments, the
directory, the environment, the path of imports, the three standard descriptors and the streams
above them, signal handlers, warnings, and jax as it comes. What a command imported along PYTHONPATH
is forgotten. Signals to the command, kills, broken pipes, what is imported, and
variables that are read when Python or jax starts need a process: `tests.conftest.charrnn_process`.
"""

import contextlib
import importlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import charrnn.cli
import jax

from charrnn_core.console import program
from tests.foreign import forgotten

_AT_START = ("JAX_", "XLA_", "LC_", "LANG", "PYTHON")
"""Prefixes of variables that are read once; of those only PYTHONPATH can be had here."""


def in_process(
    arguments: Sequence[object],
    cwd: Path,
    env: Mapping[str, str],
    stdin: str | None = None,
    *,
    together: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``charrnn ARGUMENTS`` here.

    Arguments:
        env: what the environment has besides.
        stdin: the text to read; None is nothing at all.
        together: take standard error to be standard output, as ``2>&1`` does.

    Raises:
        ValueError: a variable would have to be there when the process starts.
    """
    late = [key for key in env if key.startswith(_AT_START) and key != "PYTHONPATH"]
    if late:
        raise ValueError(f"{', '.join(late)} would be set too late; expected charrnn_process")
    words = [str(Path(charrnn.cli.__file__)), *map(str, arguments)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(_environment(env))
        stack.enter_context(_imports(env.get("PYTHONPATH", "")))
        stack.enter_context(_signals())
        stack.enter_context(_warnings())
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.callback(program._program.cache_clear)  # it depends on the directory and on PATH
        program._program.cache_clear()
        program.STARTED = time.monotonic()
        argv, sys.argv = sys.argv, words
        stack.callback(setattr, sys, "argv", argv)
        with _streams(stdin, together) as (output, errors):
            code = _exit_code()
        return subprocess.CompletedProcess(words, code, _read(output), _read(errors))


def _exit_code() -> int:
    """Run the command; what leaves it becomes what Python would make of it."""
    try:
        charrnn.cli.main()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _imports(path: str) -> Iterator[None]:
    """Look for modules along this path first, as with PYTHONPATH."""
    first, before = [part for part in path.split(os.pathsep) if part], list(sys.path)
    sys.path[:0] = first
    importlib.invalidate_caches()
    try:
        with forgotten(*map(Path, first)):
            yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers, wakeup = {name: signal.getsignal(name) for name in names}, signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for name, handler in handlers.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """Python's own filters instead of pytest's, and those of the tests' own environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for hidden in (DeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        yield


@contextlib.contextmanager
def _streams(stdin: str | None, together: bool) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Standard streams, down to the descriptors; gives the files that what is written goes to."""
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(_piped(stdin))
        output, errors = (tempfile.TemporaryFile() for _ in range(2))
        shared = output if together else errors
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        streams = sys.stdin, sys.stdout, sys.stderr
        for descriptor, file in enumerate((reader, output.fileno(), shared.fileno())):
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(file, descriptor)
        try:
            sys.stdin = open(0, encoding="utf-8", closefd=False)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
            yield output, errors
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            sys.stdin, sys.stdout, sys.stderr = streams


@contextlib.contextmanager
def _piped(text: str | None) -> Iterator[int]:
    """The end of a pipe that a text can be read from."""
    reader, writer = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), open(writer, "wb") as file:
            file.write((text or "").encode())

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield reader
    finally:
        os.close(reader)  # whoever still writes is let go
        thread.join()


def _read(file: BinaryIO) -> str:
    """What was written, with line ends as subprocess gives them."""
    with file:
        file.seek(0)
        return io.TextIOWrapper(file, encoding="utf-8").read()
