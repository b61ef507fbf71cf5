"""What plugins there are, as plain data for ``charrnn plugins``."""

import ast
import importlib.util
from typing import Any

from charrnn_core.errors import UnknownNameError
from charrnn_core.options import describe_options
from charrnn_core.plugin import KINDS
from charrnn_core.registry import Fault, Provider, Registry


def list_plugins(registry: Registry) -> list[dict[str, str]]:
    """One row for each component on offer and for each plugin that failed to load.

    >>> rows = list_plugins(Registry.installed())
    >>> [row["status"] for row in rows if row["name"] == "elman"]
    ['ok']
    """
    rows = []
    for provider in registry.providers:
        plugin = provider.plugin
        rivals = [
            rival.distribution
            for rival in registry.providers
            if rival is not provider
            and (rival.plugin.kind, rival.plugin.name) == (plugin.kind, plugin.name)
        ]
        status = f"ambiguous: also offered by {', '.join(rivals)}" if rivals else "ok"
        rows.append(_row(plugin.kind, plugin.name, provider, status, plugin.summary))
    for fault in registry.faults:
        rows.append(_row("unknown", fault.entry_point, fault, f"failed: {fault.error}", ""))
    return sorted(rows, key=lambda row: (row["kind"], row["name"], row["distribution"]))


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


def describe_plugin(registry: Registry, kind: str, use: str) -> dict[str, Any]:
    """A component's provider, spec and options.

    Raises:
        UnknownNameError: there is no such kind or name.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of plugin", kind, KINDS)
    provider = registry.find(kind, use)
    plugin = provider.plugin
    target = plugin.target if isinstance(plugin.target, str) else repr(plugin.target)
    spec = plugin.name if plugin.argument is None else f"{plugin.name}:{plugin.argument.upper()}"
    about = {"summary": plugin.summary, "spec": spec, "target": target}
    return provider.record() | about | {"options": describe_options(plugin.options)}


def option_lines(options: list[dict[str, Any]]) -> list[str]:
    """Two lines for each option that `describe_plugin` gives: its type and default, its meaning."""
    lines = []
    for option in options:
        default = "required" if option["default"] is None else f"default {option['default']}"
        lines.append(f"  {option['name']}: {option['type']}, {default}")
        lines.append(f"      {option['help']}{option['bounds'] and '; ' + option['bounds']}")
    return lines


def first_line(module: str, name: str) -> str:
    """The first line of the docstring of a module's function, which is not imported but read.

    Empty if it has none, or cannot be found. (The packages around the module are imported.)

    >>> first_line("charrnn_core.listing", "first_line")
    "The first line of the docstring of a module's function, which is not imported but read."
    """
    try:
        spec = importlib.util.find_spec(module)
        loader: Any = spec and spec.loader
        tree = ast.parse(loader.get_source(module))
    except Exception:  # whatever a plugin's package raises must not spoil the help of the others
        return ""
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    found = next((function for function in functions if function.name == name), None)
    return (found and ast.get_docstring(found) or "").partition("\n")[0]
