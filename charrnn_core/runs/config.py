"""The configuration of a run: the only place where defaults are defined."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from charrnn_core.errors import OptionError
from charrnn_core.public import public
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.given import given_among
from charrnn_core.registry.options import (
    annotations,
    check_names,
    check_plain,
    opt,
    option_values,
    read_options,
    settle,
)
from charrnn_core.registry.provider import Provider
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref, RefField, RefsField, SourceField, source_ref
from charrnn_core.registry.width import states_width
from charrnn_core.runs.rates import AUTO, BOUNDS, Rate
from charrnn_core.runs.recipe import recipe_settings
from charrnn_core.text.given import as_source

BUDGETS = ("epochs", "minutes", "characters")
"""The settings that limit the length of a run."""

_DEFAULT_CHARACTERS = 5_000_000
_WIDTH, _WIDTH_WITH_CONTEXT = 64, 32


@public
@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of a run. Components may be given as specs, tables, or as themselves.

    A cell may be what `as_cell` takes; a run with such an object needs it again, see `load`. A
    source may be a string of several lines, a list of documents, or a `Corpus`.

    Raises:
        UnknownNameError: a name is not a setting; the nearest is listed.
        SpecError, OptionError: a value has the wrong type or is out of bounds.

    >>> config = RunConfig(cell="stacked:elman:128*2", epochs=3)
    >>> config.cell.use, config.window, config.sampler[0].use
    ('stacked', 64, 'temperature')
    """

    source: SourceField = opt(
        Ref("python-docs"),
        help="the text: a source spec, an existing path, or - for standard input (the run keeps a "
        "copy of up to 64 MiB)",
    )
    cell: RefField = opt(Ref("lstm"), help="the recurrent cell")
    embedding: int | None = opt(
        None,
        help="width of the input embedding; 0 for one-hot characters (default: 32, or 64 without a "
        "context)",
        ge=0,
    )
    context: int = opt(
        6,
        help="add embeddings of the last 2, 3, .. n characters to the input; 0 for none",
        ge=0,
        le=32,
    )
    context_bits: int | None = opt(
        None,
        help="rows for the characters of each of these lengths: 2 to this power (default: one for "
        "32 characters of the text, from 2^10 to 2^16)",
        ge=1,
        le=24,
    )
    context_owned: bool | None = opt(
        None,
        help="give each row of the context to the characters that end in it most often, and the "
        "last one to all others (default: if the text is read twice or more)",
    )
    counts: int = opt(
        4,
        help="mix predictions with what the training text has after the last 1, 2, .. n characters "
        "and the last words; 0 for the network alone",
        ge=0,
        le=32,
    )
    tied: bool = opt(
        False, help="share the embedding E with the readout: project onto its width, then E^T"
    )
    parameters: int | Literal["auto"] | None = opt(
        None,
        help="scale the cell's width so that the network has at most this many parameters, besides "
        "those of the context; auto: by the length of the run (default: auto, unless the cell has "
        "a width of its own)",
        ge=1,
    )
    dropout_input: float = opt(0.0, help="dropout rate of the cell's input", ge=0, lt=1)
    dropout_output: Rate = opt(
        AUTO,
        help="dropout rate of the cell's output; auto: by how often the text is read",
        **BOUNDS,
    )
    dropout_context: Rate = opt(
        AUTO, help="share of the context's embeddings dropped, each as a whole; or auto", **BOUNDS
    )
    dropout_rare: Rate = opt(
        AUTO,
        help="also drop an embedding of the context that the training text reads c times with a "
        "probability of this over c; or auto",
        ge=0,
    )
    variational: bool = opt(
        False, help="draw the dropout masks once per window instead of once per step"
    )
    average: float = opt(
        0.0,
        help="decay of a moving average of the parameters, which evaluation and sampling use; 0 "
        "for none",
        ge=0,
        lt=1,
    )
    loss: RefField = opt(Ref("crossentropy"), help="the training loss")
    optimizer: RefField = opt(Ref("nadam"), help="the optimizer")
    alphabet: Literal["chars", "bytes"] = opt(
        "chars", help="what the model predicts: characters, or the bytes of the text in UTF-8"
    )
    split: str = opt("last-10%", help="which part of the text to hold out")
    documents: str | None = opt(
        None,
        help="reset the carry after each document; a document ends with a line feed (lines), with "
        "an empty line (blank), or with the text given here",
    )
    batching: Literal["streams", "subsequences"] = opt(
        "streams", help="read parallel streams, or one random stretch per epoch"
    )
    batch: int = opt(32, help="parallel streams (B)", ge=1)
    window: int = opt(64, help="characters per window of truncated backpropagation (T)", ge=1)
    stretch: int = opt(5000, help="characters per epoch when batching is subsequences", ge=1)
    unroll: Literal["auto", "engine", "parallel", "scan"] = opt(
        "auto",
        help="how to run time steps: with the engine, with its parallel scans wherever possible, "
        "with a plain scan, or with whichever fits the cell (auto)",
    )
    epochs: float | None = opt(None, help="stop after this many epochs", gt=0)
    minutes: float | None = opt(
        None, help="stop after this wall-clock time, start-up and compilation included", gt=0
    )
    characters: int | None = opt(
        None, help="stop after training on this many characters (default: 5000000)", ge=1
    )
    eval_every: float | None = opt(
        None, help="epochs between evaluations (default: a tenth of the run, or more)", gt=0
    )
    eval_characters: int = opt(
        1_000_000, help="evaluate at most this many held-out characters at the end", ge=1
    )
    patience: int | None = opt(
        None,
        help="stop after this many evaluations without a new best; 0 never stops early (default: "
        "stop when the model clearly overfits)",
        ge=0,
    )
    sample_every: float | None = opt(
        None, help="epochs between samples (default: a tenth of the run, or more)", gt=0
    )
    sample_length: int = opt(200, help="characters per sample", ge=1)
    prompt: str = opt("", help="the text that samples start with")
    unknown: Literal["error", "skip"] = opt(
        "error", help="what to do with prompt characters outside the alphabet"
    )
    save_every: float = opt(1.0, help="minutes between checkpoints", gt=0)
    keep_last: int = opt(2, help="number of recent checkpoints to keep, besides the best one", ge=1)
    keep_every: int = opt(
        0, help="also keep the checkpoint of every k-th evaluation; 0 for none", ge=0
    )
    non_finite: Literal["stop", "skip", "rollback"] = opt(
        "stop",
        help="what to do when the loss is not finite; rollback also halves the learning rate",
    )
    shards: int | None = opt(
        None,
        help="devices to split the streams over (default: one per core, if that is faster)",
        ge=1,
    )
    init_from: str | None = opt(
        None,
        help="start a new training from the best parameters of this run, or from this checkpoint; "
        "characters that it does not know are added (unlike resume, which continues a run)",
    )
    freeze: tuple[str, ...] = opt(
        (), help="keep parameters bit for bit as they are: a name such as embedding, or a glob"
    )
    lr_scale: tuple[str, ...] = opt(
        (), help="multiply the learning rate of parameters, such as embedding=0.1 or cell=0.5"
    )
    sampler: RefsField = opt(
        (Ref("temperature", "0.7"),), help="the sampler, or a chain of samplers"
    )
    observers: RefsField = opt(
        (Ref("progress"), Ref("jsonl")), help="observers to notify of what happens"
    )
    seed: int = opt(0, help="random seed", ge=0, lt=2**32)

    def __new__(cls, *others: Any, **settings: Any) -> Self:
        check_names(cls, settings, "the run")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", as_source(self.source))
        settle(self, "the run")
        try:
            json.dumps(self.table(), ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError as error:
            raise OptionError(
                f"a setting of the run contains {error.object[error.start]!r}, a byte that is not "
                "UTF-8, which config.toml cannot store; rename the path, or give such a prompt to "
                "'charrnn sample' instead"
            ) from error

    @property
    def embedding_width(self) -> int:
        """Return `embedding`, or its default: the rows of a context are as wide, and many."""
        if self.embedding is not None:
            return self.embedding
        return _WIDTH_WITH_CONTEXT if self.context > 1 else _WIDTH

    @classmethod
    def read(cls, values: Mapping[str, Any], registry: Registry | None = None) -> "RunConfig":
        """Read a configuration from text or plain values by name; ``recipe`` names a recipe.

        Arguments:
            values: settings by name.
            registry: where the recipe is looked up; by default the plugins installed.

        Raises:
            UnknownNameError: a name is not a setting, or the recipe is unknown.
            AmbiguousNameError: several distributions offer the recipe.
            OptionError: a value has the wrong type or is out of bounds.

        >>> RunConfig.read({"recipe": "notebook", "window": "32"}).batching
        'subsequences'
        """
        check_plain(values)
        chosen = dict(values)
        below: Mapping[str, Any] = {}
        if "recipe" in chosen:
            below = recipe_settings(str(chosen.pop("recipe")), registry or Registry.installed())
        if isinstance(chosen.get("source"), str):
            chosen["source"] = source_ref(chosen["source"])
        return read_options(cls, layered(below, chosen), "the run")

    def resolve(self, registry: Registry | None = None) -> "RunConfig":
        """Return the run with every option of every component filled in and a budget set.

        Arguments:
            registry: the plugins to use; by default those installed.

        Raises:
            UnknownNameError, AmbiguousNameError, OptionError: a component cannot be resolved.
        """
        registry = registry or Registry.installed()
        changes: dict[str, Any] = {
            name: registry.resolve(kind, getattr(self, name)) for name, kind in COMPONENTS.items()
        }
        for name, kind in COMPONENT_LISTS.items():
            changes[name] = tuple(registry.resolve(kind, ref) for ref in getattr(self, name))
        if self.epochs is None and self.minutes is None and self.characters is None:
            changes["characters"] = _DEFAULT_CHARACTERS
        changes["embedding"] = self.embedding_width
        if self.parameters is None and self.init_from is None and not states_width(self.cell):
            changes["parameters"] = AUTO
        return dataclasses.replace(self, **changes)

    def given(self) -> list[Provider]:
        """Return the components that are objects of the program, as plugins."""
        return given_among(self._refs())

    def records(self, registry: Registry) -> list[dict[str, Any]]:
        """Return a checkpoint's record of every plugin used; the configuration must be resolved."""
        found: list[dict[str, Any]] = []
        for kind, ref in self._refs():
            found += [record for record in registry.records(kind, ref) if record not in found]
        return found

    def _refs(self) -> list[tuple[str, Ref]]:
        lists = [(kind, r) for name, kind in COMPONENT_LISTS.items() for r in getattr(self, name)]
        return [(kind, getattr(self, name)) for name, kind in COMPONENTS.items()] + lists

    def table(self) -> dict[str, Any]:
        """Return plain data for TOML and checkpoints; settings that are None are left out."""
        values = Ref("run", None, option_values(self)).table()
        return {key: item for key, item in values.items() if key != "use" and item is not None}


def _settings_that_hold(annotation: Any) -> dict[str, str]:
    """Return the settings with this annotation, each with the kind of plugin it names."""
    kinds = {name: kind for kind, plugin in KINDS.items() for name in (kind, plugin.plural())}
    hints = annotations(RunConfig).items()
    return {name: kinds[name] for name, hint in hints if hint == annotation}


COMPONENTS = _settings_that_hold(Ref)
"""The settings that name one component, each with the kind of plugin it is."""

COMPONENT_LISTS = _settings_that_hold(tuple[Ref, ...])
"""The settings that name several."""


def layered(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge settings, those `above` over those `below`; a budget above replaces all budgets below.

    >>> layered({"epochs": 3, "batch": 8}, {"minutes": 1})
    {'batch': 8, 'minutes': 1}
    """
    replaced = BUDGETS if any(name in above for name in BUDGETS) else ()
    return {k: v for k, v in below.items() if k not in replaced} | dict(above)
