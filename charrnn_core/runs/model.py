"""A model, which is a network with its parameters and alphabet, and loading it from a run."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn_core.cell import Params, as_cell
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError, CheckpointError, UnknownSymbolError, expect, shown
from charrnn_core.files.atomic import user_path
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.network.context import Context, fitting_bits
from charrnn_core.network.counts import COUNTS, Counts, with_counts, without_counts
from charrnn_core.network.dropouts import Dropouts
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import count_parameters, from_arrays
from charrnn_core.page.curves import svg
from charrnn_core.page.table import html_table
from charrnn_core.public import public
from charrnn_core.registry.given import providers_of
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.checkpoint_names import checkpoint_name
from charrnn_core.runs.chosen import Chosen
from charrnn_core.runs.compiled import keep_programs
from charrnn_core.runs.components import make
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.course import Course
from charrnn_core.runs.curves import Curve, chart
from charrnn_core.runs.directory import CHECKPOINTS, RunDirectory
from charrnn_core.runs.manifest import alphabet_of, read_manifest
from charrnn_core.runs.metrics import read_course
from charrnn_core.runs.of_text import OfText
from charrnn_core.runs.opening import Opened, open_model
from charrnn_core.runs.overview import spec
from charrnn_core.runs.programs import Programs
from charrnn_core.runs.rates import decided
from charrnn_core.sampling.chain import Chain
from charrnn_core.terminal import number, printable, to_stderr
from charrnn_core.text.alphabet import Alphabet


@public
@dataclass(frozen=True)
class Model:
    """A network that can score and write text.

    Arguments:
        config: the resolved configuration it was trained with.
        alphabet: the symbols it knows.
        network: the network.
        params: its parameters.
        registry: where samplers are looked up.
        table: its checkpoint's record of the run: step, metrics, plugins, corpus, unroll.
        directory: the directory of the run, which may hold a copy of the text.
        newest: the table of the run's newest checkpoint; None if only a file is known.

    Fields:
        programs: what it has compiled, which goes when the model goes.
    """

    config: RunConfig
    alphabet: Alphabet
    network: Network
    params: Params = field(repr=False)
    registry: Registry = field(repr=False)
    table: Mapping[str, Any] = field(repr=False, default_factory=dict)
    directory: Path | None = None
    newest: Mapping[str, Any] | None = field(repr=False, default=None)
    programs: Programs = field(init=False, repr=False, compare=False, default_factory=Programs)

    def __repr__(self) -> str:
        """Return what it is, on one line."""
        cell, nats = spec(self.config.cell.table()), self.table.get("held_out_nats_per_char")
        known = f", held-out {number(nats, 4)} nats" if isinstance(nats, float) else ""
        size = f"{self.parameters:,} parameters, {len(self.alphabet):,} symbols"
        chosen = f", from {self.chosen}" if "step" in self.table else ""  # not made by hand
        return f"<Model {cell}: {size}{chosen}{known}>"

    @property
    def parameters(self) -> int:
        """The number of learned parameters."""
        return count_parameters(without_counts(self.params))

    @property
    def chosen(self) -> Chosen:
        """Which of the models of its run it is."""
        return Chosen.of(self.table, self.newest)

    def _repr_html_(self) -> str:
        """Return what it is, and its learning curve, for a notebook."""
        corpus, nats = self.table.get("corpus", {}), self.table.get("held_out_nats_per_char")
        rows = [
            ("cell", spec(self.config.cell.table()) or ""),
            ("parameters", f"{self.parameters:,}"),
            ("alphabet", f"{len(self.alphabet):,} symbols"),
            ("text", str(corpus.get("name", ""))),
            ("model", f"from {self.chosen}"),
        ]
        if isinstance(nats, float):
            bits = f"{number(nats / math.log(2), 4)} bits per {self.alphabet.unit}"
            rows.append(("held-out", f"{number(nats, 4)} nats, {bits}"))
        drawn = chart([Curve(course=self.course(), unit=self.alphabet.unit)])
        shown = html_table((name, printable(text)) for name, text in rows)
        return f"<div>{shown}{'' if drawn is None else svg(drawn)}</div>"

    def course(self) -> Course:
        """Return the losses of its whole training, as far as its run directory has them."""
        run = self.directory
        file = None if run is None else RunDirectory(run).metrics_file
        return read_course(file, self.newest or self.table, len(self.alphabet))


def build_network(
    config: RunConfig, alphabet: Alphabet, registry: Registry, owners: bytes = b""
) -> Network:
    """Build the network that a configuration describes, without parameters.

    Arguments:
        owners: to whom the rows of its context belong; see `charrnn_core.network.context.Context`.
    """
    return Network(
        registry.build_cell(config.cell, as_cell),
        len(alphabet),
        config.embedding_width,
        tied=config.tied,
        dropouts=Dropouts(
            config.dropout_input,
            decided(config.dropout_output),
            decided(config.dropout_context),
            decided(config.dropout_rare),
            config.variational,
        ),
        separator=separator_ids(config.documents, alphabet),
        context=Context(config.context, config.context_bits or fitting_bits(0), owners),
        counts=Counts.fitting(config.counts, alphabet.letters),
        unroll_mode=config.unroll,
    )


_SEPARATORS = {"lines": "\n", "blank": "\n\n"}


def separator_ids(documents: str | None, alphabet: Alphabet) -> tuple[int, ...]:
    """Return the ids that end a document, which is None, ``lines``, ``blank``, or any other text.

    Raises:
        UnknownSymbolError: the alphabet lacks a character of the text.

    >>> separator_ids("lines", Alphabet("\\nab")), separator_ids("ab", Alphabet("\\nab"))
    ((0,), (1, 2))
    """
    if documents is None:
        return ()
    separator = _SEPARATORS.get(documents, documents)
    try:
        return tuple(alphabet.encode(separator).tolist())
    except UnknownSymbolError as error:
        raise UnknownSymbolError(
            f"documents is {shown(documents)}, but the alphabet of {len(alphabet)} symbols lacks "
            f"a character of {shown(separator)}; expected lines, blank, or the exact text that "
            "separates documents"
        ) from error


def build_sampler(refs: tuple[Ref, ...], registry: Registry) -> Chain:
    """Build the chain of samplers that these specs name.

    Raises:
        UnknownNameError, OptionError: a name or an option is wrong.
    """
    with kept_clean():
        return Chain([make(registry, "sampler", ref) for ref in refs])


@public
def load(
    run: str | Path,
    registry: Registry | None = None,
    *,
    last: bool = False,
    note: Callable[[str], None] = to_stderr,
    plugins: Iterable[Any] = (),
) -> Model:
    """Read the best model of a run; only its cell's plugins are needed, not its text.

    The best one has the least loss on the held-out text that was scored while it learnt; at the end
    of a training, it and the last one were compared on all of it. Without it, say because nothing
    was held out, the last one is read, and a note says so.

    Arguments:
        run: a run directory, which may still be training, a checkpoint file, or a file of
            safetensors that charrnn has exported.
        registry: the plugins to use; by default those installed.
        last: read the last model instead.
        note: takes a line for each checkpoint that could not be used.
        plugins: the objects that it was trained with, such as the class of its cell.

    Raises:
        RunDirectoryError: there is no such run, or it has no checkpoint.
        CheckpointError: the checkpoint is damaged or does not fit the network.
        PluginError: a plugin the model needs is missing; the message names its distribution.
    """
    expect("run", run, str | Path, "a run directory or a checkpoint file")
    registry = (registry or Registry.installed()).offering(providers_of(plugins))
    return restore_model(open_model(Path(run), note, last), registry)


def restore_model(opened: Opened, registry: Registry) -> Model:
    """Build the model that a checkpoint holds."""
    keep_programs()
    path, checkpoint = opened.path, opened.checkpoint
    table, newest = _read_tables(opened)
    registry = registry.preferring(table["plugins"])
    require_plugins(table, "cell", registry)
    config, alphabet = read_config(path, table), alphabet_of(table)
    of_text = OfText.saved(checkpoint, len(alphabet))
    network, template = _template(path, config, alphabet, registry, of_text.owners)
    params = with_counts(learnt_params(checkpoint, template), of_text.counts)
    directory = path.parent.parent if path.parent.name == CHECKPOINTS else None
    return Model(config, alphabet, network, params, registry, table, directory, newest)


def read_config(path: Path, table: Mapping[str, Any]) -> RunConfig:
    """Read the configuration in a checkpoint's table; `path` is for messages.

    Raises:
        CheckpointError: a setting is unknown, of the wrong type or out of bounds.
    """
    try:
        return RunConfig.read(table["config"])
    except CharRNNError as error:
        raise CheckpointError(f"{path} has an invalid config: {error}") from error


def _template(
    path: Path, config: RunConfig, alphabet: Alphabet, registry: Registry, owners: bytes
) -> tuple[Network, Params]:
    """Return the network of a checkpoint, and the shapes of its parameters."""
    try:
        network = build_network(config, alphabet, registry, owners)
        return network, network.shapes
    except (ArithmeticError, MemoryError, TypeError, ValueError) as error:
        # For a width of 10**12, say, jax and cells raise errors that do not mention the checkpoint.
        cell, embedding = config.cell.table(), config.embedding_width
        raise CheckpointError(
            f"{path} describes a network that cannot be built, with the cell {shown(cell)} and an "
            f"embedding of {embedding}: {type(error).__name__}"
        ) from error


def learnt_params(checkpoint: Checkpoint, template: Params) -> Params:
    """Return the parameters to use from a checkpoint: their moving average, if it has one.

    Raises:
        CheckpointError: its parameters do not fit `template`.
    """
    averaged = any(name.startswith("average/") for name in checkpoint.arrays)
    return from_arrays(checkpoint.arrays, template, "average" if averaged else "params")


def describe_run(
    run: Path, *, last: bool = False, note: Callable[[str], None] = to_stderr
) -> dict[str, Any]:
    """Return what is recorded of a run and of its best model, as plain data, without its plugins.

    It is what the model's checkpoint records, but `loop` is from the newest checkpoint: it tells of
    the whole run; so does `status`. `model` says which of the run's models it is.

    Arguments:
        run: a run directory or a checkpoint file.
        last: describe the last model instead.
        note: takes a line for each checkpoint that could not be used.

    Raises:
        RunDirectoryError: there is no such run, or it has no checkpoint.
        CheckpointError: every checkpoint is damaged.
    """
    run = user_path(run)
    opened = open_model(run, note, last)
    arrays, (table, newest) = opened.checkpoint.arrays, _read_tables(opened)
    params = {name: array for name, array in arrays.items() if name.startswith("params/")}
    loop = (newest or table).get("loop", {})
    exported = table.get("exported_by")
    status = loop.get("status", f"exported by {exported}" if exported else "unknown")
    directory = RunDirectory(run)
    if status == "running" and run.is_dir() and not directory.is_live():
        status = f"ended unexpectedly; resume it with: {directory.command('resume', run)}"
    return {
        "checkpoint": str(opened.path),
        "status": status,
        "model": opened.chosen.table(),
        **table,
        "loop": loop,
        "alphabet": alphabet_of(table).symbols,
        "parameters": sum(array.size for array in params.values()),
        "shapes": {name.removeprefix("params/"): [*each.shape] for name, each in params.items()},
        "counts": any(name.startswith(f"{COUNTS}/") for name in arrays),
    }


def _read_tables(opened: Opened) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Check and return the tables of a checkpoint and of the newest one of its run."""
    path, checkpoint, newest = opened
    if newest is not None and newest is not checkpoint.table:
        read_manifest(path.with_name(checkpoint_name(newest["step"])), newest)
    return read_manifest(path, checkpoint.table), newest


def require_plugins(table: Mapping[str, Any], kind: str, registry: Registry) -> None:
    """Check that the plugins of a kind that a checkpoint needs are installed.

    Raises:
        PluginError: one is missing; the message names its distribution.
    """
    for record in table["plugins"]:
        if record["kind"] == kind:
            registry.require(record)
