"""Settings as a user would type them."""

import json
from collections.abc import Mapping
from typing import Any


def component(value: Any) -> str:
    """Format a component with its options, or a list of components.

    >>> component({"use": "lstm", "features": 8, "layer_norm": False})
    'lstm: features=8, layer_norm=false'
    >>> component({"use": "stacked", "layers": [{"use": "gru", "features": 8}] * 2})
    'stacked: layers=(gru: features=8; gru: features=8)'
    """
    if isinstance(value, list):
        return "; ".join(map(component, value))
    if not isinstance(value, Mapping):
        return setting(value)
    options = [f"{key}={setting(item)}" for key, item in value.items() if key != "use"]
    name = setting(value.get("use"))
    return f"{name}: {', '.join(options)}" if options else name


def setting(value: Any) -> str:
    """Return an option's value as a user would type it.

    >>> setting(True), setting(None), setting("two words")
    ('true', '', '"two words"')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return f"({component(value)})"
    text = str(value)
    return text if text and text == "".join(text.split()) else json.dumps(text, ensure_ascii=False)
