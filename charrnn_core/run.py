"""A run: its configuration, which is the only home of defaults, and its directory."""

import dataclasses
import itertools
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from charrnn_core.errors import (
    OptionError,
    RunDirectoryError,
    SourceError,
    SpecError,
    UnknownNameError,
)
from charrnn_core.options import opt, option_values, read_options, settle
from charrnn_core.registry import Registry
from charrnn_core.spec import Ref
from charrnn_core.storage import explained, make_directory, write_atomically

PATH_SOURCE = "file"
"""The source that reads an existing path given alone."""

_DEFAULT_CHARACTERS = 5_000_000
_COMPONENTS = {"source": "source", "cell": "cell", "loss": "loss", "optimizer": "optimizer"}
_BUDGETS = ("epochs", "minutes", "characters")
_COMPONENT_LISTS = {"sampler": "sampler", "observers": "observer"}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a run. Components may be given as specs or tables.

    Raises:
        SpecError, OptionError: a value has the wrong type or is out of bounds.

    >>> config = RunConfig(cell="stacked:elman:128*2", epochs=3)
    >>> config.cell.use, config.window, config.sampler[0].use
    ('stacked', 64, 'temperature')
    """

    source: Ref = opt(Ref("python-docs"), help="the text: a source spec or an existing path")
    cell: Ref = opt(Ref("elman"), help="the recurrent cell")
    embedding: int = opt(64, help="width of the input embedding; 0 feeds one-hot characters", ge=0)
    loss: Ref = opt(Ref("crossentropy"), help="the training loss")
    optimizer: Ref = opt(Ref("adam"), help="the optimizer")
    split: str = opt("last-10%", help="which part of the text is held out")
    batching: Literal["streams", "subsequences"] = opt(
        "streams", help="read parallel streams, or one random stretch per epoch"
    )
    batch: int = opt(32, help="parallel streams (B)", ge=1)
    window: int = opt(64, help="characters per window of truncated backpropagation (T)", ge=1)
    stretch: int = opt(5000, help="characters per epoch of subsequences", ge=1)
    unroll: Literal["auto", "engine", "scan"] = opt(
        "auto", help="how time steps run: by the engine, by a plain scan, or whichever fits"
    )
    epochs: float | None = opt(None, help="stop after this many epochs", gt=0)
    minutes: float | None = opt(
        None, help="stop after this wall-clock time, start-up and compilation included", gt=0
    )
    characters: int | None = opt(
        None, help="stop after training on this many characters (default: 5000000)", ge=1
    )
    eval_every: float | None = opt(
        None, help="epochs between evaluations (default: a tenth of the run)", gt=0
    )
    sample_every: float | None = opt(
        None, help="epochs between samples (default: a tenth of the run)", gt=0
    )
    sample_length: int = opt(200, help="characters per sample", ge=1)
    prompt: str = opt("", help="what samples begin with")
    unknown: Literal["error", "skip"] = opt(
        "error", help="what to do with prompt characters outside the alphabet"
    )
    sampler: tuple[Ref, ...] = opt((Ref("temperature", "0.7"),), help="the sampler, or a chain")
    observers: tuple[Ref, ...] = opt((Ref("progress"), Ref("jsonl")), help="who watches")
    seed: int = opt(0, help="decides everything random", ge=0, lt=2**32)

    def __post_init__(self) -> None:
        if isinstance(self.source, str):
            object.__setattr__(self, "source", source_ref(self.source))
        settle(self, "the run")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "RunConfig":
        """A configuration from text or plain values by name, with ``recipe`` naming a preset.

        Raises:
            UnknownNameError: a name is not a setting, or there is no such recipe.
            OptionError: a value has the wrong type or is out of bounds.

        >>> RunConfig.read({"recipe": "notebook", "window": "32"}).batching
        'subsequences'
        """
        chosen = dict(values)
        recipe = chosen.pop("recipe", "default")
        if not isinstance(recipe, str) or recipe not in RECIPES:
            raise UnknownNameError("recipe", str(recipe), RECIPES)
        if isinstance(chosen.get("source"), str):
            chosen["source"] = source_ref(chosen["source"])
        return read_options(cls, layered(RECIPES[recipe], chosen), "the run")

    def resolve(self, registry: Registry) -> "RunConfig":
        """The same run with every option of every component filled in, and a budget set."""
        changes: dict[str, Any] = {
            name: registry.resolve(kind, getattr(self, name)) for name, kind in _COMPONENTS.items()
        }
        for name, kind in _COMPONENT_LISTS.items():
            changes[name] = tuple(registry.resolve(kind, ref) for ref in getattr(self, name))
        if self.epochs is None and self.minutes is None and self.characters is None:
            changes["characters"] = _DEFAULT_CHARACTERS
        return dataclasses.replace(self, **changes)

    def records(self, registry: Registry) -> list[dict[str, Any]]:
        """What a checkpoint remembers of every plugin used; call it on a resolved configuration."""
        refs = [(kind, getattr(self, name)) for name, kind in _COMPONENTS.items()]
        refs += [(kind, r) for name, kind in _COMPONENT_LISTS.items() for r in getattr(self, name)]
        found: list[dict[str, Any]] = []
        for kind, ref in refs:
            found += [record for record in registry.records(kind, ref) if record not in found]
        return found

    def table(self) -> dict[str, Any]:
        """The plain form, for TOML and checkpoints; settings that are None are left out."""
        values = Ref("run", None, option_values(self)).table()
        return {key: item for key, item in values.items() if key != "use" and item is not None}


# fmt: off
RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    # The protocol of the teaching notebook charrnn grew from.
    "notebook": {
        "cell": {"use": "elman", "features": 256},
        "embedding": 0,
        "batching": "subsequences",
        "batch": 1,
        "window": 64,
        "stretch": 5000,
        "optimizer": {
            "use": "adam", "learning_rate": 1e-3, "b2": 0.999,
            "clip": 0.0, "schedule": "constant", "warmup": 0,
        },
        "epochs": 250,
        "eval_every": 25,
        "sample_every": 10,
        "sample_length": 50,
        "sampler": "temperature:0.1",
    },
}
# fmt: on


def layered(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings on top of others; a budget on top replaces every budget below.

    >>> layered({"epochs": 3, "batch": 8}, {"minutes": 1})
    {'batch': 8, 'minutes': 1}
    """
    replaced = _BUDGETS if any(name in above for name in _BUDGETS) else ()
    return {k: v for k, v in below.items() if k not in replaced} | dict(above)


def source_ref(text: str) -> Ref:
    """Read a source spec; an existing path alone, or ``-``, means ``file:PATH``.

    Raises:
        SourceError: the text looks like a path, but there is nothing there.

    >>> source_ref("gutenberg:520").use, source_ref("/").use
    ('gutenberg', 'file')
    """
    if text == "-" or os.path.exists(text):
        return Ref(PATH_SOURCE, text)
    try:
        return Ref.parse(text)
    except SpecError as error:
        raise SourceError(
            f"{text!r} is neither an existing path nor a source such as gutenberg:520"
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        StorageError: the file cannot be read.
        OptionError: it is not TOML; the message has the line.
    """
    with explained("read", path):
        data = path.read_bytes()
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one training: ``config.toml``, ``metrics.jsonl`` and ``checkpoints/``."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @classmethod
    def create(cls, config: RunConfig, out: Path | None = None) -> "RunDirectory":
        """Make a new run directory, by default a numbered one under ``runs/``.

        Raises:
            RunDirectoryError: `out` holds a run already, or is not a directory.
            StorageError: it cannot be written.
        """
        if out is None:
            source = f"{config.source.use}-{Path(config.source.argument or '').stem}".strip("-")
            label = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{config.cell.use}-{source}").strip("-")
            out = _claim(Path("runs"), label)
        run = cls(out)
        if out.exists() and not out.is_dir():
            raise RunDirectoryError(f"{out} is a file; choose another directory with --out")
        if run.config_file.exists() or run.metrics_file.exists() or run.saved():
            raise RunDirectoryError(f"{out} holds a run already; choose another with --out")
        make_directory(run.checkpoints)
        return run

    def write_config(self, config: RunConfig) -> None:
        """Save the resolved configuration as TOML."""
        import tomli_w

        write_atomically(self.config_file, [tomli_w.dumps(config.table()).encode()])

    def checkpoint_file(self, step: int) -> Path:
        """Where the checkpoint of an update goes."""
        return self.checkpoints / f"step-{step:09d}.crn"

    def saved(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return sorted(self.checkpoints.glob("step-*.crn"))


def _claim(parent: Path, label: str) -> Path:
    """Create the first directory ``LABEL-N`` that nobody has, even if others do the same now."""
    with explained("create", parent):
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = parent / f"{label}-{number}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    raise AssertionError("unreachable: a number is always free")


def newest_checkpoint(run: Path) -> Path:
    """The newest checkpoint of a run directory, or a checkpoint file itself.

    Raises:
        RunDirectoryError: the path is neither, or the run has no checkpoint yet.
    """
    if run.is_file():
        return run
    if not run.exists():
        raise RunDirectoryError(f"{run} does not exist; expected a run directory or a checkpoint")
    directory = RunDirectory(run)
    if not directory.config_file.is_file() and not directory.checkpoints.is_dir():
        raise RunDirectoryError(
            f"{run} is not a run directory: it has no config.toml and no checkpoints/; "
            "expected what 'charrnn run --out DIR' wrote"
        )
    if not (saved := directory.saved()):
        raise RunDirectoryError(f"{run} has no checkpoint yet; let the training go on for a while")
    return saved[-1]
