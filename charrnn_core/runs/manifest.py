"""What a checkpoint of a run has to say, checked in full before anything of it is used.

A checkpoint may come from anybody. Its digest proves that it is whole, not that what it says makes
sense; so the table is compared with the types below, and everything that reads a run's table reads
it from `read_manifest`. What is not named here may be there, as plain data: a later charrnn may say
more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from charrnn_core.errors import CheckpointError, CorpusError
from charrnn_core.files.typed import AlsoBytes, Count, Like, Name, check
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
    """Products that leave a loop together."""

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
    environment: NotRequired[dict[str, Name]]
    unroll: NotRequired[UnrollRecord]
    held_out_nats_per_char: NotRequired[float | None]
    loop: NotRequired[LoopState]
    observers: NotRequired[dict[str, Annotated[Any, AlsoBytes()]]]


RESUMING = ("loop", "observers", "environment")
"""What resuming needs besides what sampling does."""

_FEWEST_SYMBOLS = 2


def read_manifest(
    path: Path, table: Mapping[str, Any], needs: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """The table of a checkpoint, of which every part is as `Manifest` says.

    Arguments:
        path: of the checkpoint, for messages.
        needs: parts that have to be there, of those that need not be.

    Raises:
        CheckpointError: a part is missing, of another type, or out of bounds; it is named.
    """
    try:
        check(table, Manifest)
        alphabet_of(table)
    except (CheckpointError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint of a run that can be used: {error}; use another checkpoint"
        ) from error
    for name in needs:
        if name not in table:
            raise CheckpointError(f"{path} lacks what resuming needs: {name!r}")
    return table


def alphabet_of(table: Mapping[str, Any]) -> Alphabet:
    """The alphabet in a checkpoint's table.

    Raises:
        CheckpointError: it is none, or none that a model can be of.

    >>> alphabet_of({"alphabet": [97, 98]}), alphabet_of({"alphabet": "bytes"})
    (Alphabet('ab'), ByteAlphabet())
    """
    points = table["alphabet"]
    try:
        if isinstance(points, list):
            check(points, list[Count], "alphabet")
        alphabet = read_alphabet(points)
        if len(alphabet) < _FEWEST_SYMBOLS:
            raise ValueError(f"it has {len(alphabet)} symbols; expected {_FEWEST_SYMBOLS} or more")
    except (CorpusError, ValueError) as error:
        raise CheckpointError(f"the checkpoint has no valid alphabet: {error}") from error
    return alphabet
