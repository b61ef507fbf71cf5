"""A plugin that is one file, with no packaging around it.

It is named by the user, with ``--plugin`` or in ``CHARRNN_PLUGINS``, never by a run: nothing that
lies in a run directory is ever executed unless the user names it.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

from charrnn_core.errors import PluginError, UsageError
from charrnn_core.files.atomic import explained, make_directory, user_path, write_atomically
from charrnn_core.files.regular import read_named

VARIABLE = "CHARRNN_PLUGINS"
"""Paths of such files in the environment, separated as in PATH, so that child processes see them.

>>> local_files({"CHARRNN_PLUGINS": ""})
[]
"""

_DIGITS = 12
_LARGEST = 1 << 24


_named: ContextVar[tuple[Path, ...]] = ContextVar("named", default=())


def local_files(environ: Mapping[str, str]) -> list[Path]:
    """Return the files that an environment and `using_local_files` name, each once."""
    named = filter(None, environ.get(VARIABLE, "").split(os.pathsep))
    files = [*(user_path(name).resolve() for name in named), *_named.get()]
    return list(dict.fromkeys(files))


@contextlib.contextmanager
def using_local_files(files: Iterable[Path]) -> Iterator[None]:
    """Use single-file plugins during the block, besides those that the environment names.

    Raises:
        UsageError: one of them is not a file.
    """
    found = []
    for path in map(user_path, files):
        if not os.path.isfile(path):  # where pathlib would raise that a name is too long
            raise UsageError(
                f"plugin file {str(path)!r} not found; expected the path of a Python module"
            )
        found.append(path.resolve())
    token = _named.set((*_named.get(), *found))
    try:
        yield
    finally:
        _named.reset(token)


def environment_for_children(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process that is to find the same single-file plugins."""
    files = local_files(environ)
    return {**environ, VARIABLE: os.pathsep.join(map(str, files))} if files else dict(environ)


def version_of(path: Path) -> str:
    """Return the beginning of a file's SHA-256, which serves as its version."""
    return f"sha256-{hashlib.sha256(read_named(path, _LARGEST)).hexdigest()[:_DIGITS]}"


def load_local_file(path: Path) -> types.ModuleType:
    """Run a file as a module of its own.

    Raises:
        PluginError: it is not a Python module.
        StorageError: it cannot be read, or is not a regular file.
        Exception: whatever the file raises.
    """
    with explained("read", path):
        read_named(path, _LARGEST)  # the import system would wait for a pipe
    name = f"charrnn_local_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be imported; expected a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def keep_copies(files: Iterable[Path], folder: Path) -> None:
    """Keep copies of such files in a folder, for whoever goes on with the run they belong to.

    Raises:
        StorageError: one cannot be read or written.
    """
    for file in files:
        copy = folder / file.name
        if copy.is_symlink() or copy.resolve() != file:
            make_directory(folder)
            with explained("read", file):
                content = read_named(file, _LARGEST)
            write_atomically(copy, [content])
