"""Which installed distributions are plugins, by their metadata: no plugin is imported."""

import importlib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

from charrnn_core.errors import AmbiguousNameError, UnknownNameError
from charrnn_core.registry import entrypoints
from charrnn_core.registry.distribution import canonical, whose
from charrnn_core.registry.entrypoints import GROUPS

_ITSELF, _PREFIX = "charrnn", "charrnn-"


@dataclass(frozen=True)
class Offer:
    """A distribution and the entry points of a plugin in it.

    Arguments:
        name, version: the distribution's.
        plugins: the names of its entry points in `GROUPS`.
    """

    name: str
    version: str
    plugins: tuple[str, ...]

    def __str__(self) -> str:
        return whose(self.name, self.version)


def installed(groups: Iterable[str] = GROUPS) -> list[Offer]:
    """Return the distributions with entry points in the groups, charrnn included, by name."""
    importlib.invalidate_caches()  # pip may have changed what lies there
    found: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        for entry in entrypoints.installed().group(group):
            found.setdefault((entry.distribution, entry.version), []).append(entry.name)
    return [Offer(*dist, tuple(plugins)) for dist, plugins in sorted(found.items())]


def find(name: str, offers: Iterable[Offer]) -> Offer:
    """Return the distribution of this name, or that has a plugin of this name.

    Arguments:
        name: such as ``charrnn-mycell``, or ``mycell``.
        offers: what is installed, see `installed`.

    Raises:
        UnknownNameError: the name is unknown, or not a plugin's, or charrnn's own.
        AmbiguousNameError: several have a plugin of that name.

    >>> find("mycell", [Offer("charrnn-mycell", "0.1.0", ("mycell",))]).name
    'charrnn-mycell'
    """
    offers, wanted = list(offers), canonical(name)
    found = [offer for offer in offers if canonical(offer.name) == wanted]
    found = found or [offer for offer in offers if wanted in _short_names(offer)]
    if len(found) > 1:
        raise AmbiguousNameError(
            f"{name!r} is in {' and in '.join(map(str, found))}; name the distribution"
        )
    if found and canonical(found[0].name) != _ITSELF:
        return found[0]
    known = [offer.name for offer in offers if canonical(offer.name) != _ITSELF]
    raise UnknownNameError("plugin distribution", name, known, _reasons(name, bool(found)))


def _short_names(offer: Offer) -> set[str]:
    return {canonical(offer.name).removeprefix(_PREFIX), *map(canonical, offer.plugins)}


def _reasons(name: str, built_in: bool) -> list[str]:
    """Return why what is installed under a name is not a plugin that can be removed."""
    if canonical(name) == _ITSELF:
        return ["charrnn is not a plugin; uninstall it with pip"]
    if built_in:
        return [f"{name!r} is built into charrnn and cannot be uninstalled"]
    leftovers = [
        fault.error
        for fault in entrypoints.installed().faults
        if canonical(name) in {canonical(fault.distribution), canonical(fault.entry_point)}
    ]
    if leftovers:
        return leftovers
    try:
        version = importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    groups = " or ".join(GROUPS)
    return [f"{name} {version} is installed, but has no entry point in the group {groups}"]
