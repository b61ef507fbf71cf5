"""A component under test: found by its spec, or given as an object."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.plugin import Plugin
from charrnn_core.registry.provider import Provider
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

GIVEN = "given"
"""The name of a component that was given as an object."""


@dataclass
class Subject:
    """A component by its spec.

    Arguments:
        kind: such as ``"cell"``.
        registry: where it and the components inside it are found.
        ref: its spec.
        provider: who offers it.
    """

    kind: str
    registry: Registry
    ref: Ref
    provider: Provider

    @classmethod
    def of(cls, kind: str, component: Any, registry: Registry | None = None) -> Self:
        """Return the subject that a kind's checks examine.

        Arguments:
            kind: such as ``"cell"``.
            component: a spec such as ``"elman:64"``, a table or a `Ref`; or what the target of
                such a plugin returns. For a source, the target itself. For an observer, also its
                class, which every check then instantiates.
            registry: where to look names up; by default the plugins installed.

        Raises:
            UnknownNameError, OptionError: the component does not exist.

        >>> Subject.of("cell", "elman:64").provider.distribution
        'charrnn'
        """
        registry = registry or Registry.installed()
        if isinstance(component, str | Mapping | Ref):
            ref = Ref.parse(component)
            return cls(kind, registry, ref, registry.find(kind, ref.use))
        provider = Provider(cls.described(kind, component), "this program", "unknown", GIVEN)
        # A copy, so that a registry can be used for one object after another.
        registry = copy.copy(registry)
        registry.providers = [p for p in registry.providers if p.plugin.name != GIVEN] + [provider]
        return cls(kind, registry, Ref(GIVEN), provider)

    @classmethod
    def described(cls, kind: str, component: Any) -> Plugin:
        """Return a descriptor around a component that was given as an object."""
        descriptor: Any = KINDS[kind]
        target = _target(kind, component)
        return descriptor(name=GIVEN, target=target, summary="given as an object")

    @property
    def given(self) -> bool:
        """Whether it was given as an object, without a plugin."""
        return self.ref.use == GIVEN

    def try_out(self) -> None:
        """Use it once, if its kind has a way to; if that raises, all checks are useless."""

    def options(self) -> Any:
        """Return its options, as the spec gives them."""
        return self.registry.options(self.kind, self.ref)

    def target(self) -> Callable[..., Any]:
        """Import the target that its plugin names."""
        return self.registry.load(self.kind, self.ref)

    def make(self, *more: Any) -> Any:
        """Call the target with the options and `more`, for kinds whose target takes these."""
        return self.target()(self.options(), *more)


def _target(kind: str, component: Any) -> Callable[..., Any]:
    if kind == "source" or (kind == "observer" and isinstance(component, type)):
        return component
    return (lambda: component) if kind == "cell" else (lambda *_: component)
