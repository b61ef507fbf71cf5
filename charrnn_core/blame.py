"""Report a plugin author's mistake in one line that points to the author's own file.

A plugin's code is called deep inside jax, flax and charrnn, and a traceback through these does not
help its author. `Call` turns what such code raises into a `PluginError` that begins with the file
and line of the plugin; the original error is its cause, so a traceback still has everything.
"""

import dis
import functools
import importlib.metadata
import inspect
import re
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from charrnn_core.errors import CharRNNError, PluginError

_LIBRARIES = {"charrnn_core", "jax", "jaxlib", "flax", "optax", "numpy"} | sys.stdlib_module_names
"""Top-level packages that are never to blame: they call plugins, or are called by them."""

_LONGEST = 400
_UNKNOWN_YET = (
    "; values are not known while jax compiles code: compute with jax.numpy, and use jnp.where "
    "instead of if"
)
_NOT_KNOWN_YET = {
    "ConcretizationTypeError",
    "TracerArrayConversionError",
    "TracerIntegerConversionError",
}
_TRACEBACK = "charrnn --debug shows the traceback"


class Call:
    """A context for a call of a plugin's code; what it raises becomes a `PluginError`.

    Arguments:
        who: what is called, such as ``"a step of cell ElmanCell"``.
        author: the function or class, to point to where no traceback line is available.
        must: what it has to do, such as ``"a step must return (carry, output)"``.
        got: its arguments, by name.
        let: errors to let through unchanged, besides those of charrnn and of the machine.

    >>> def step(carry, x):
    ...     return carry + x
    >>> with Call("a step", step, "a step must return (carry, output)", {"carry": 1}):
    ...     step(1, "a")
    Traceback (most recent call last):
    charrnn_core.errors.PluginError: <doctest...>:1: a step raises TypeError: unsupported operand...
    """

    def __init__(
        self,
        who: str,
        author: Any,
        must: str,
        got: Mapping[str, Any] | None = None,
        let: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._who, self._author, self._must = who, author, must
        self._got, self._let = got or {}, let

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, frames: Any) -> Literal[False]:
        if not isinstance(error, Exception | SystemExit) or is_no_bug(error):
            return False
        if isinstance(error, self._let):
            return False
        where = place_of(error) or home(self._author)
        raise self._told(where, f"raises {told(error)}", _TRACEBACK) from error

    def fault(self, wrong: str) -> PluginError:
        """Return the error of code that ran but did something `wrong`, as in ``"returns None"``."""
        return self._told(home(self._author, at_return=True), wrong)

    def _told(self, where: str | None, wrong: str, *more: str) -> PluginError:
        got = " and ".join(f"{name} {outlined(value)}" for name, value in self._got.items())
        parts = [f"{self._who} {wrong}", f"it got {got}" if got else "", self._must, *more]
        line = "; ".join(filter(None, parts))
        return PluginError(f"{where}: {line}" if where else line)


def is_no_bug(error: BaseException) -> bool:
    """Return whether an error is charrnn's own or the machine's, such as a lack of memory."""
    machine = {"JaxRuntimeError", "XlaRuntimeError"}.intersection(_names(error))
    return isinstance(error, CharRNNError | MemoryError) or bool(machine)


def told(error: BaseException) -> str:
    """Return an error's type and the beginning of its message, on one line.

    >>> told(ValueError("no such thing\\n\\nSee https://example.org for more."))
    'ValueError: no such thing'
    """
    text = re.sub(r"\s*\(?https?://\S+", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    first = first[:_LONGEST].rstrip(".")
    hint = _UNKNOWN_YET if _NOT_KNOWN_YET.intersection(_names(error)) else ""
    return f"{type(error).__name__}: {first}".removesuffix(": ") + hint


def told_with_place(error: BaseException) -> str:
    """Return the same after the file and line of the plugin, if one is to blame."""
    where = place_of(error)
    return f"{where}: {told(error)}" if where else told(error)


def place_of(error: BaseException) -> str | None:
    """Return ``file:line`` of the innermost line of a plugin's code that an error passed through.

    Prefers a line of a third party's plugin or of the user's own code, then one of a library that
    charrnn does not depend on, then one of a built-in plugin.
    """
    plugins = _plugin_packages()
    found: dict[int, str] = {}
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        file = frame.f_code.co_filename
        if package in _LIBRARIES or file.startswith("<frozen"):
            continue
        installed = {"site-packages", "dist-packages"}.intersection(Path(file).parts)
        if plugins.get(package) == "charrnn":
            rank = 2
        else:
            rank = 1 if installed and package not in plugins else 0
        found[rank] = f"{_shown(file)}:{line}"
    return found[min(found)] if found else None


def home(author: Any, at_return: bool = False) -> str | None:
    """Return ``file:line`` where a function or class is defined, or where the function returns."""
    while isinstance(author, functools.partial | types.MethodType):
        author = author.func if isinstance(author, functools.partial) else author.__func__
    if callable(author) and not isinstance(author, type | types.FunctionType):
        author = type(author).__call__
    author = inspect.unwrap(author) if callable(author) else author
    code = getattr(author, "__code__", None)
    if code is not None:
        return (
            f"{_shown(code.co_filename)}:{_last_return(code) if at_return else code.co_firstlineno}"
        )
    kind = author if isinstance(author, type) else type(author)
    try:
        return f"{_shown(inspect.getfile(kind))}:{inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):  # it is built in, or its source is not available
        return None


def outlined(value: Any) -> str:
    """Return the shapes of a tree of arrays on one line, whatever it holds.

    >>> import numpy as np
    >>> outlined((np.zeros((2, 3), np.float32), [1.0], {"n": None}))
    '(float32[2,3], [float], {n: None})'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key}: {outlined(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, tuple | list):
        inside = ", ".join(map(outlined, value))
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return "None" if value is None else type(value).__name__


def a_pair(result: Any) -> bool:
    """Return whether something is a pair, which steps and updates have to return."""
    return isinstance(result, Sequence) and not isinstance(result, str) and len(result) == 2


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _last_return(code: types.CodeType) -> int:
    found = [
        instruction.positions.lineno
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("RETURN_VALUE", "RETURN_CONST") and instruction.positions
    ]
    return max(filter(None, found), default=code.co_firstlineno)


def _shown(file: str) -> str:
    """Return a path relative to the current directory, if it lies below."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):  # it lies elsewhere, or the current directory is gone
        return file


@functools.cache
def _plugin_packages() -> dict[str, str | None]:
    """Return the top-level packages that entry points name, with their distributions."""
    try:
        entries = importlib.metadata.entry_points(group="charrnn")
        return {e.module.partition(".")[0]: e.dist.name if e.dist else None for e in entries}
    except Exception:  # broken metadata must not hide the error being reported
        return {}
