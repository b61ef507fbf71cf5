"""What a run's checkpoint says that has to be known before jax is imported."""

from pathlib import Path
from typing import Any

from charrnn_core.directory import open_checkpoint
from charrnn_core.manifest import read_manifest

_MOST_SHARDS = 1024
_OF_THE_NETWORK = ("cell", "embedding", "tied", "documents", "alphabet")


def saved_shards(run: Path) -> int:
    """How many devices a run was cut for, so that jax can be told before it is imported.

    Raises:
        RunDirectoryError, CheckpointError: as for `open_checkpoint`.
    """
    path, checkpoint = open_checkpoint(run, lambda line: None)
    shards = read_manifest(path, checkpoint.table)["config"].get("shards")
    return shards if type(shards) is int and 1 <= shards <= _MOST_SHARDS else 1


def saved_network(run: Path) -> dict[str, Any]:
    """The settings of a run that its parameters fit: those of its network and its alphabet.

    Raises:
        RunDirectoryError, CheckpointError: as for `open_checkpoint`.
    """
    path, checkpoint = open_checkpoint(run, lambda line: None)
    config = read_manifest(path, checkpoint.table)["config"]
    return {name: config[name] for name in _OF_THE_NETWORK if name in config}
