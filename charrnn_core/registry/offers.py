"""What the hooks of plugins offer, asked through pluggy; one that fails does not affect others.

Pluggy's rules hold: ``tryfirst`` and ``trylast`` order what is offered, and a wrapper (of either
style) is called around the hook of every plugin, its own too, and may change what that plugin
offers. Each plugin is asked by a call of its own, so what comes out of it is that plugin's offer.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from typing import Any, TypeAlias

import pluggy

from charrnn_core.errors import PluginError, UnknownNameError
from charrnn_core.registry import hookspecs
from charrnn_core.registry.descriptors import HOOKS
from charrnn_core.registry.plugin import Plugin

Answers: TypeAlias = list[list[Plugin]]
"""What a call of a hook gives: a list for each plugin that was asked."""

_MANAGER = pluggy.PluginManager(hookspecs.PROJECT)
"""Reads marks; nothing is registered with it."""

_UNMARKED = f"no function in it is marked with @hookimpl; expected one of {', '.join(HOOKS)}"


class Hooks:
    """The hooks of the modules that have been registered, as one pluggy manager calls them."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs.Specs)
        self._modules: list[Module] = []

    def register(self, modules: Iterable["Module"]) -> None:
        """Register modules, of which an earlier one is asked before a later one."""
        modules = list(modules)
        for module in reversed(modules):  # pluggy asks first what was registered last
            self._manager.register(module.offering)
            self._manager.register(module.wrapping)
        self._modules += modules

    def offers(self, modules: Collection["Module"]) -> Iterator[tuple["Module", Plugin]]:
        """Yield what registered modules offer, each with its module, in pluggy's order.

        What is wrong with a module, or with a wrapper of any module, is in its `errors` then.
        """
        for hook in HOOKS:
            for module in self._implementing(hook):
                if module in modules:
                    yield from ((module, plugin) for plugin in self._offered_by(module, hook))
        for module in modules:
            module.end()

    def _implementing(self, hook: str) -> list["Module"]:
        """Return the modules that implement a hook, in the order in which they are called."""
        found = {module.offering: module for module in self._modules}
        called = reversed(getattr(self._manager.hook, hook).get_hookimpls())
        return [found[one.plugin] for one in called if one.plugin in found]

    def _offered_by(self, module: "Module", hook: str) -> list[Plugin]:
        others = [other.offering for other in self._modules if other is not module]
        answers = self._manager.subset_hook_caller(hook, others)()
        return [plugin for answer in answers for plugin in answer]


class Module:
    """A plugin's module and its hooks, guarded so that whatever they raise is kept in `errors`.

    Arguments:
        module: what an entry point names.

    >>> Module(__import__("math")).errors
    []
    """

    def __init__(self, module: Any) -> None:
        self.errors: list[BaseException] = []
        self.offering, self.wrapping = _Marked(), _Marked()
        self._marked: list[str] = []
        self._yields = False
        for name in dir(module):
            options = _MANAGER.parse_hookimpl_opts(module, name)
            if options is not None:
                self._guard(name, getattr(module, name), options)
        self.errors += _unmarked(module, self._marked)

    def end(self) -> None:
        """Report an error if its hooks yielded nothing, unless another is reported already."""
        if not (self._yields or self.errors or vars(self.wrapping)):
            hooks = " and ".join(self._marked)
            why = f"{hooks} yields nothing" if hooks else _UNMARKED
            self.errors.append(PluginError(f"it offers nothing: {why}"))

    def _guard(self, name: str, function: Callable[[], Any], options: Any) -> None:
        hook = options.get("specname") or name
        self._marked.append(hook)
        if hook not in HOOKS:
            hints = ["or it needs a newer charrnn"]
            self.errors.append(UnknownNameError("hook", hook, HOOKS, hints))
        elif options["wrapper"] or options["hookwrapper"]:
            wrapper = _Wrapper(hook, function, options["hookwrapper"], self.errors)
            mark = hookspecs.hookimpl(**{**options, "wrapper": True, "hookwrapper": False})
            setattr(self.wrapping, name, mark(wrapper.generator_function()))
        else:
            mark = hookspecs.hookimpl(**options)
            setattr(self.offering, name, mark(lambda: self._kept(hook, function)))

    def _kept(self, hook: str, function: Callable[[], Any]) -> list[Plugin]:
        """Return what a hook yields, up to where it breaks."""
        kept: list[Plugin] = []
        try:
            kept.extend(_checked(hook, function()))
        except (Exception, SystemExit) as error:  # containing whatever a plugin raises is the job
            self.errors.append(error)
        self._yields |= bool(kept)
        return kept


class _Marked:
    """Marked functions as attributes, which is what pluggy registers."""


class _Wrapper:
    """A wrapper that, once it has broken, does nothing."""

    def __init__(
        self, hook: str, function: Callable[[], Any], old_style: bool, errors: list[BaseException]
    ) -> None:
        self._hook, self._function, self._errors = hook, function, errors
        self._old_style, self._broken = old_style, False

    def generator_function(self) -> Callable[[], Generator[None, Answers, Answers]]:
        """Return a wrapper of pluggy's new style, whatever the style of the plugin's own."""

        def around() -> Generator[None, Answers, Answers]:
            generator = self._guarded(self._begun)
            answers = yield
            changed = generator and self._guarded(lambda: self._ended(generator, answers))
            return answers if changed is None else changed

        return around

    def _guarded(self, step: Callable[[], Any]) -> Any:
        try:
            return None if self._broken else step()
        except (Exception, SystemExit) as error:  # containing whatever a plugin raises is the job
            self._broken = True
            self._errors.append(error)
            return None

    def _begun(self) -> Any:
        generator = self._function()
        try:
            next(generator)
        except StopIteration:
            raise PluginError(f"{self._hook} is a wrapper but did not yield") from None
        return generator

    def _ended(self, generator: Any, answers: Answers) -> Answers:
        """Return what the wrapper makes of a copy of the answers."""
        given = [list(answer) for answer in answers]
        outcome = pluggy.Result.from_call(lambda: given)
        try:
            generator.send(outcome if self._old_style else given)
        except StopIteration as end:
            made = outcome.get_result() if self._old_style else end.value
        else:
            generator.close()
            raise PluginError(f"{self._hook} is a wrapper but yields more than once")
        if not isinstance(made, list):
            raise PluginError(
                f"{self._hook} is a wrapper but returned {made!r}; expected the list that its "
                "yield gave it, or a new one: return (yield)"
            )
        return [list(_checked(self._hook, answer)) for answer in made]


def _checked(hook: str, given: Any) -> Iterator[Plugin]:
    """Yield a hook's descriptors, each checked against the hook's class."""
    expected = HOOKS[hook]
    if not isinstance(given, Iterable):
        raise PluginError(f"{hook} returned {given!r}; expected it to yield {expected.__name__}")
    for plugin in given:
        if not isinstance(plugin, expected):
            raise PluginError(f"{hook} yielded {plugin!r}; expected {expected.__name__}")
        yield plugin


def _unmarked(module: Any, marked: Collection[str]) -> Iterator[PluginError]:
    """Yield an error for each function that has a hook's name but no mark."""
    for hook in HOOKS:
        function = getattr(module, hook, None)
        if hook not in marked and callable(function):
            if getattr(function, "__module__", None) == module.__name__:
                yield PluginError(f"{hook} is not marked with @hookimpl, so it is never called")
