"""The contract of a recipe: settings that a run can start from, on any machine."""

import dataclasses
import json
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from charrnn_core.registry.descriptors import RecipePlugin
from charrnn_core.registry.plugin import Plugin
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.testing.kit import Kit, fail
from charrnn_core.testing.registration import has_a_summary, light_import
from charrnn_core.testing.subject import GIVEN, Subject
from charrnn_core.training.train import train

_UPDATES = 2
_TEXT = "The five boxing wizards jump quickly.\n"


class RecipeSubject(Subject):
    """A recipe under test.

    >>> RecipeSubject.of("recipe", "notebook").config.window
    64
    """

    @classmethod
    def described(cls, kind: str, component: Any) -> Plugin:
        """Return a recipe that was given as an object, under the name of such objects."""
        return dataclasses.replace(component, name=GIVEN)

    @property
    def recipe(self) -> RecipePlugin:
        """Its descriptor."""
        assert isinstance(self.provider.plugin, RecipePlugin)
        return self.provider.plugin

    @cached_property
    def config(self) -> RunConfig:
        """The run that it describes, with every option filled in."""
        return RunConfig.read({"recipe": self.ref.use}, self.registry).resolve(self.registry)

    def try_out(self) -> None:
        """Read its settings, which everything else needs."""
        _ = self.config


def plain_settings(subject: RecipeSubject) -> str:
    """Its settings are plain data, as a TOML file holds them."""
    settings = dict(subject.recipe.settings)
    try:
        again = json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        fail(
            f"its settings cannot be written to a file: {error}",
            "use strings, numbers, booleans, lists and tables",
        )
    if again != settings:
        fail(
            f"its settings {settings} become {again} when written and read again",
            "use strings, numbers, booleans, lists, and tables with string keys",
        )
    return f"{len(settings)} settings"


def known_settings(subject: RecipeSubject) -> str:
    """Every setting exists and has a valid value, and the components are installed."""
    config = subject.config
    return f"{config.cell.use}, {config.optimizer.use}"


def works_anywhere(subject: RecipeSubject) -> None:
    """It names no text or checkpoint that exists on one machine only."""
    config = subject.config
    if config.init_from is not None:
        fail(
            f"it starts from the parameters of {config.init_from!r}, which other machines do not "
            "have",
            "leave init_from to the user",
        )
    if config.source.use == "file":
        fail(
            f"it reads {config.source.argument!r}, which other machines do not have",
            "leave the source to the user, or name one that downloads or generates its text",
        )


def trains(subject: RecipeSubject) -> str:
    """A run of two updates with it trains, evaluates, samples and saves a checkpoint."""
    config = subject.config
    per_update = config.batch * config.window
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        text.write_text(_TEXT * (20 * max(per_update, config.stretch) // len(_TEXT) + 1))
        short = dataclasses.replace(
            config,
            source=Ref("file", str(text)),
            characters=_UPDATES * per_update,
            epochs=None,
            minutes=None,
            eval_every=None,
            sample_every=None,
            eval_characters=min(config.eval_characters, 2000),
            sample_length=min(config.sample_length, 20),
            observers=(),
        )
        train(short, out=Path(folder, "run"), registry=subject.registry, note=lambda line: None)
        return f"{_UPDATES} updates of {per_update:,} characters"


KIT = Kit(
    RecipeSubject,
    (light_import, has_a_summary, plain_settings, known_settings, works_anywhere, trains),
)
"""The kit for recipes."""
