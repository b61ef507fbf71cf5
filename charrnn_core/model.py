"""A model: a network with its parameters and alphabet, and how a run keeps it and gives it back."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from charrnn_core.cell import Params, as_cell
from charrnn_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn_core.corpus import Alphabet, Corpus
from charrnn_core.errors import CharRNNError, CheckpointError
from charrnn_core.network import Network
from charrnn_core.registry import Registry
from charrnn_core.run import RunConfig, RunDirectory, newest_checkpoint
from charrnn_core.sampling import Chain
from charrnn_core.spec import Ref

_KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class Model:
    """A network that can score and write text.

    Arguments:
        config: the resolved configuration it was made with.
        alphabet: the symbols it knows.
        network: the network.
        params: its parameters.
        registry: where samplers are found.
        table: what its checkpoint says of the run: step, metrics, plugins, corpus, unroll.
    """

    config: RunConfig
    alphabet: Alphabet
    network: Network
    params: Params = field(repr=False)
    registry: Registry = field(repr=False)
    table: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def parameters(self) -> int:
        """How many numbers the model has learnt."""
        return count_parameters(self.params)


def count_parameters(params: Params) -> int:
    """How many numbers a tree of parameters holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def build_network(config: RunConfig, alphabet: Alphabet, registry: Registry) -> Network:
    """The network a configuration describes, without parameters."""
    cell = registry.build_cell(config.cell, as_cell)
    return Network(cell, len(alphabet), config.embedding, unroll_mode=config.unroll)


def build_sampler(refs: tuple[Ref, ...], registry: Registry) -> Chain:
    """The chain of samplers that these specs name.

    Raises:
        UnknownNameError, OptionError: a name or an option is wrong.
    """
    return Chain([registry.load("sampler", r)(registry.options("sampler", r)) for r in refs])


def load(run: str | Path, registry: Registry | None = None) -> Model:
    """Read the newest model of a run; only its cell's plugins are needed, not its text.

    Arguments:
        run: a run directory or a checkpoint file.
        registry: the plugins to use; by default those installed.

    Raises:
        RunDirectoryError: there is no such run, or it has no checkpoint.
        CheckpointError: the checkpoint is damaged or does not fit.
        PluginError: a plugin the model needs is missing; the message names its distribution.
    """
    registry = registry or Registry.installed()
    path = newest_checkpoint(Path(run))
    checkpoint = load_checkpoint(path)
    try:
        return restore_model(checkpoint, registry)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} lacks what a model needs: {error}") from error


def restore_model(checkpoint: Checkpoint, registry: Registry) -> Model:
    """Build the model that a checkpoint holds."""
    table = checkpoint.table
    registry = registry.preferring(table["plugins"])
    require_plugins(table, "cell", registry)
    try:
        config = RunConfig.read(table["config"])
        alphabet = Alphabet("".join(map(chr, table["alphabet"])))
        network = build_network(config, alphabet, registry)
    except CharRNNError as error:
        error.add_note("while rebuilding the model of a checkpoint")
        raise
    template = jax.eval_shape(network.init, jax.random.key(0))
    params = checkpoint.restore(template, "params")
    return Model(config, alphabet, network, params, registry, table)


def describe_run(run: Path) -> dict[str, Any]:
    """What the newest checkpoint of a run says, as plain data; none of its plugins is needed.

    Raises:
        RunDirectoryError: there is no such run, or it has no checkpoint.
        CheckpointError: the checkpoint is damaged.
    """
    path = newest_checkpoint(run)
    checkpoint = load_checkpoint(path)
    arrays = checkpoint.arrays.items()
    return {
        "checkpoint": str(path),
        **checkpoint.table,
        "alphabet": "".join(map(chr, checkpoint.table["alphabet"])),
        "parameters": sum(array.size for name, array in arrays if name.startswith("params/")),
    }


def require_plugins(table: Mapping[str, Any], kind: str, registry: Registry) -> None:
    """Check that the plugins of a kind which a checkpoint remembers are here.

    Raises:
        PluginError: one is missing; the message names its distribution.
    """
    for record in table["plugins"]:
        if record["kind"] == kind:
            registry.require(record)


def save_model(
    directory: RunDirectory,
    config: RunConfig,
    alphabet: Alphabet,
    corpus: Corpus,
    plugins: list[dict[str, Any]],
    unroll: Mapping[str, Any],
    state: Any,
    held_out: float | None,
) -> Path:
    """Write a self-contained checkpoint of a training state, and drop the oldest ones.

    Raises:
        StorageError: it cannot be written; the checkpoints there are stay.
    """
    table = {
        "charrnn": version("charrnn"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "platform": platform.platform(),
        },
        "config": config.table(),
        "alphabet": [ord(symbol) for symbol in alphabet.symbols],
        "plugins": plugins,
        "corpus": {
            "name": corpus.name,
            "origin": corpus.origin,
            "licence": corpus.licence,
            "sha256": corpus.sha256,
            "characters": len(corpus.text),
        },
        "unroll": dict(unroll),
        "step": int(state.step),
        "held_out_nats_per_char": held_out,
    }
    path = directory.checkpoint_file(int(state.step))
    save_checkpoint(path, table, state._asdict())
    for old in directory.saved()[:-_KEPT_CHECKPOINTS]:
        old.unlink()
    return path
