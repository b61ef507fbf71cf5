"""The hooks a plugin may implement. Each takes no argument and returns descriptors.

There is one hook for each class of `charrnn_core.registry.descriptors`, whose docstring has the
contract and a complete plugin. A plugin is a module named by an entry point of the group
``charrnn``. Keep it light: no jax, flax or numpy at import, so that ``charrnn --help`` stays
instant however many plugins are installed.
"""

from collections.abc import Callable, Iterable

import pluggy

from charrnn_core.registry.descriptors import HOOKS
from charrnn_core.registry.plugin import Plugin

PROJECT = "charrnn"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Specs:
    """The specifications of all hooks, for pluggy."""


def _specification(descriptor: type[Plugin]) -> Callable[[], Iterable[Plugin]]:
    """Return the specification of the hook that yields this class of descriptors."""

    def hook() -> Iterable[Plugin]: ...  # type: ignore[empty-body]  # a spec has no body

    hook.__name__, hook.__doc__ = descriptor.hook, descriptor.__doc__
    return hookspec(hook)


for _descriptor in HOOKS.values():
    setattr(Specs, _descriptor.hook, _specification(_descriptor))
