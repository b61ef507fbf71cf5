"""The table of a run's checkpoint, checked in full before any of it is used.

A checkpoint may come from anybody. Its digest proves that it is complete, not that its contents
make sense; so the table is checked against the types below, and all code that reads a run's table
gets it from `read_manifest`. Other fields are allowed if they are plain data: a later charrnn may
add some.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from charrnn_core.errors import CheckpointError, CorpusError
from charrnn_core.files.typed import AlsoBytes, Count, Like, Name, check
from charrnn_core.runs.directory import SavedEvaluation
from charrnn_core.runs.loop_state import LoopState, Step
from charrnn_core.text.alphabet import Alphabet, read_alphabet


class PluginRecord(TypedDict):
    """A plugin that a run used."""

    kind: Name
    name: Name
    distribution: Name
    version: Name
    state_version: Count
    file: NotRequired[bool]


class CorpusRecord(TypedDict):
    """The text that a run was trained on."""

    name: str
    origin: str
    licence: NotRequired[str | None]
    sha256: Annotated[str, Like(r"[0-9a-f]{64}", "a SHA-256 in hexadecimal")]
    characters: Count


class LoopRecord(TypedDict):
    """A loop of the engine, see `charrnn_core.network.explain`."""

    deferred: list["DeferredRecord"]


class DeferredRecord(TypedDict):
    """Products that are taken out of a loop together."""

    product: str
    merged: Count


class UnrollRecord(TypedDict):
    """How time steps ran."""

    engine: bool
    why: str
    loops: list[LoopRecord]
    own: NotRequired[bool]


class Manifest(TypedDict):
    """The table of a run's checkpoint; see `charrnn_core.training.setup.TrainingSetup`."""

    config: dict[str, Any]
    alphabet: Any
    plugins: list[PluginRecord]
    corpus: CorpusRecord
    step: Step
    charrnn: NotRequired[Name]
    created: NotRequired[Name]
    exported_by: NotRequired[Name]
    environment: NotRequired[dict[str, Name]]
    unroll: NotRequired[UnrollRecord]
    held_out_nats_per_char: NotRequired[float | None]
    evaluation: NotRequired[SavedEvaluation]
    loop: NotRequired[LoopState]
    observers: NotRequired[dict[str, Annotated[Any, AlsoBytes()]]]


RESUMING = ("loop", "observers", "environment")
"""The fields that resuming needs and sampling does not."""

_FEWEST_SYMBOLS = 2

_BEFORE_THEY_WERE_SAVED = {
    "context": 0,
    "context_bits": 10,
    "counts": 0,
    "dropout_context": 0.0,
    "dropout_rare": 0.0,
}
"""What settings were of runs that are older than the settings."""


def as_of_today(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a run has saved, with those that did not exist then as they were.

    >>> as_of_today({"cell": "elman"})["context"]
    0
    """
    return {**_BEFORE_THEY_WERE_SAVED, **settings}


def read_manifest(
    path: Path, table: Mapping[str, Any], needs: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """Check the table of a checkpoint against `Manifest`, and return it as one of today.

    Arguments:
        path: the checkpoint, for messages.
        table: its table.
        needs: optional fields that have to be present.

    Raises:
        CheckpointError: a field is missing, of the wrong type, or out of bounds; the message names
            it.
    """
    try:
        check(table, Manifest)
        alphabet_of(table)
    except (CheckpointError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a usable checkpoint of a run: {error}; use another checkpoint"
        ) from error
    for name in needs:
        if name not in table:
            raise CheckpointError(f"{path} lacks {name!r}, which resuming needs")
    return {**table, "config": as_of_today(table["config"])}


def alphabet_of(table: Mapping[str, Any]) -> Alphabet:
    """Return the alphabet in a checkpoint's table.

    Raises:
        CheckpointError: it is not an alphabet, or has too few symbols.

    >>> alphabet_of({"alphabet": [97, 98]}), alphabet_of({"alphabet": "bytes"})
    (Alphabet('ab'), ByteAlphabet())
    """
    points = table["alphabet"]
    try:
        if isinstance(points, list):
            check(points, list[Count], "alphabet")
        alphabet = read_alphabet(points)
        if len(alphabet) < _FEWEST_SYMBOLS:
            raise ValueError(f"it has {len(alphabet)} symbols; expected at least {_FEWEST_SYMBOLS}")
    except (CorpusError, ValueError) as error:
        raise CheckpointError(f"the checkpoint has no valid alphabet: {error}") from error
    return alphabet
