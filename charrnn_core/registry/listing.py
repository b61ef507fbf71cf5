"""The available plugins, as plain data for ``charrnn plugins``."""

from typing import Any

from charrnn_core.errors import UnknownNameError
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.distribution import Fault, requirement
from charrnn_core.registry.entrypoints import COMMANDS, installed
from charrnn_core.registry.provider import Import, Provider
from charrnn_core.registry.registry import Registry


def list_plugins(registry: Registry | None = None) -> list[dict[str, str]]:
    """Return a row for each component and for each plugin that failed to load.

    Arguments:
        registry: the plugins to list; by default those installed.

    >>> rows = list_plugins()
    >>> [row["status"] for row in rows if row["name"] == "elman"]
    ['ok']
    """
    registry = registry or Registry.installed()
    rows = []
    for provider in registry.providers:
        plugin = provider.plugin
        rivals = [
            rival.distribution
            for rival in registry.providers
            if rival is not provider
            and (rival.plugin.kind, rival.plugin.name) == (plugin.kind, plugin.name)
        ]
        status = "ok"
        if rivals:
            status = f"ambiguous: also offered by {', '.join(rivals)}"
        elif not provider.file and (heavy := _import_of(provider, registry).heavy):
            status = f"slow: its registration imports {', '.join(heavy)}"
        rows.append(_row(plugin.kind, plugin.name, provider, status, plugin.summary))
    for fault in registry.faults:
        rows.append(_row("unknown", fault.entry_point, fault, f"failed: {fault.error}", ""))
    return sorted(rows, key=lambda row: (row["kind"], row["name"], row["distribution"]))


def list_timings(registry: Registry | None = None) -> list[dict[str, Any]]:
    """Return how long each plugin took to import, slowest first, and its heavy imports.

    >>> list(list_timings()[0])
    ['distribution', 'entry_point', 'milliseconds', 'imports']
    """
    registry = registry or Registry.installed()
    slowest_first = sorted(registry.imports.items(), key=lambda item: -item[1].seconds)
    return [
        {
            "distribution": who,
            "entry_point": name,
            "milliseconds": round(1000 * cost.seconds, 1),
            "imports": ", ".join(cost.heavy),
        }
        for (who, name), cost in slowest_first
    ]


def list_requirements(registry: Registry | None = None) -> list[str]:
    """Return the plugins' distributions as pinned requirements; comments for the rest.

    >>> list_requirements()[0].startswith("charrnn==")
    True
    """
    registry = registry or Registry.installed()
    files = {provider.distribution for provider in registry.providers if provider.file}
    offers = {(o.distribution, o.version) for o in (*registry.providers, *registry.faults)}
    offers |= {(entry.distribution, entry.version) for entry in installed().group(COMMANDS)}
    return sorted(
        f"# {who} {version}, a single file" if who in files else _pinned(who, version)
        for who, version in offers
    )


def _pinned(distribution: str, version: str) -> str:
    pin = requirement(distribution, version)
    return pin or f"# {distribution!r} {version!r}, which no package index has"


def _import_of(provider: Provider, registry: Registry) -> Import:
    return registry.imports[provider.distribution, provider.entry_point]


def _row(
    kind: str, name: str, origin: Provider | Fault, status: str, summary: str
) -> dict[str, str]:
    return {
        "kind": kind,
        "name": name,
        "distribution": origin.distribution,
        "version": origin.version,
        "status": status,
        "summary": summary,
    }


def describe_plugin(kind: str, use: str, registry: Registry | None = None) -> dict[str, Any]:
    """Return where a plugin comes from and what it offers.

    Raises:
        UnknownNameError: the kind or the name does not exist.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of plugin", kind, KINDS)
    provider = (registry or Registry.installed()).find(kind, use)
    return provider.origin() | provider.plugin.describe()


def option_lines(options: list[dict[str, Any]]) -> list[str]:
    """Return two lines for each option from `describe_plugin`: type and default, then help."""
    lines = []
    for option in options:
        optional = "default none" if option["type"].endswith("or none") else "required"
        default = optional if option["default"] is None else f"default {option['default']}"
        lines.append(f"  {option['name']}: {option['type']}, {default}")
        lines.append(f"      {option['help']}{option['bounds'] and '; ' + option['bounds']}")
    return lines
