"""What the hooks of a plugin's module offer; one that breaks takes none of the others along."""

from collections.abc import Iterable, Iterator
from typing import Any

import pluggy

from charrnn_core.errors import PluginError, UnknownNameError
from charrnn_core.registry import hookspecs
from charrnn_core.registry.descriptors import HOOKS
from charrnn_core.registry.plugin import Plugin

_MANAGER = pluggy.PluginManager(hookspecs.PROJECT)


def offers_of(module: Any) -> tuple[list[Plugin], list[BaseException]]:
    """The descriptors that a module's hooks yield, and what is wrong with it.

    >>> offers_of(math := __import__("math"))
    ([], [PluginError('it offers nothing: no function in it is marked with @hookimpl')])
    """
    plugins: list[Plugin] = []
    errors: list[BaseException] = []
    marked = [name for name in dir(module) if _is_marked(module, name)]
    for name in marked:
        if name not in HOOKS:
            hints = ["or it needs a newer charrnn"]
            errors.append(UnknownNameError("hook", name, HOOKS, hints))
    for hook in HOOKS:
        try:
            # What a hook has yielded before it breaks is as good as ever.
            plugins.extend(_yielded(module, hook) if hook in marked else _unmarked(module, hook))
        except (Exception, SystemExit) as error:  # containing whatever a plugin raises is the job
            errors.append(error)
    if not plugins and not errors:
        hooks = " and ".join(marked)
        why = f"{hooks} yields nothing" if marked else "no function in it is marked with @hookimpl"
        errors.append(PluginError(f"it offers nothing: {why}"))
    return plugins, errors


def _is_marked(module: Any, name: str) -> bool:
    return _MANAGER.parse_hookimpl_opts(module, name) is not None


def _yielded(module: Any, hook: str) -> Iterator[Plugin]:
    """What a hook yields, each checked against the kind that is expected of it."""
    expected = HOOKS[hook]
    given = getattr(module, hook)()
    if not isinstance(given, Iterable):
        raise PluginError(f"{hook} gave {given!r}; expected it to yield a {expected.__name__}")
    for plugin in given:
        if not isinstance(plugin, expected):
            raise PluginError(f"{hook} gave {plugin!r}; expected a {expected.__name__}")
        yield plugin


def _unmarked(module: Any, hook: str) -> Iterator[Plugin]:
    """Nothing; a function that is called like a hook was meant to be one."""
    function = getattr(module, hook, None)
    if callable(function) and getattr(function, "__module__", None) == module.__name__:
        raise PluginError(f"{hook} is not marked with @hookimpl, so that nobody calls it")
    yield from ()
