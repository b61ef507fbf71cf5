"""The settings of a recipe."""

from collections.abc import Mapping
from typing import Any

from charrnn_core.registry.descriptors import RecipePlugin
from charrnn_core.registry.registry import Registry


def recipe_settings(name: str, registry: Registry) -> Mapping[str, Any]:
    """Return the settings of a recipe.

    Raises:
        UnknownNameError: no plugin offers that recipe.
        AmbiguousNameError: several distributions offer it.

    >>> recipe_settings("best", Registry.installed())["minutes"]
    20
    """
    recipe = registry.find(RecipePlugin.kind, name).plugin
    assert isinstance(recipe, RecipePlugin)
    return recipe.settings
