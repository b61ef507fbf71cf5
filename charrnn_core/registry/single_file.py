"""A plugin that is one file, with no packaging around it.

It is named by the user, with ``--plugin`` or in ``CHARRNN_PLUGINS``, never by a run: nothing that
lies in a run directory is ever executed unless the user names it.
"""

import hashlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterable, Mapping, MutableMapping
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


def local_files(environ: Mapping[str, str]) -> list[Path]:
    """Return the files that an environment names, each once."""
    named = filter(None, environ.get(VARIABLE, "").split(os.pathsep))
    return list(dict.fromkeys(user_path(name).resolve() for name in named))


def name_local_file(path: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Add a file to those that the environment names.

    Raises:
        UsageError: the file does not exist, or is not a regular file.
    """
    path = user_path(path)
    if not os.path.isfile(path):  # where pathlib would raise that a name is too long
        what = "is not a regular file" if os.path.exists(path) else "not found"
        raise UsageError(f"plugin file {str(path)!r} {what}; expected the path of a Python module")
    named = filter(None, [environ.get(VARIABLE), str(path.resolve())])
    environ[VARIABLE] = os.pathsep.join(named)


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
