"""Import paths of the time when all modules lay side by side, and what they are called now.

A module that moved is refused with its new name. Where a room has the name of an old module, what
that module had is found in the room.
"""

import functools
import importlib
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_ROOMS = {
    "console": "layout program stdio stdout",
    "engine": (
        "affine before=lookup equations fallback gates loop plan products rows=matvec rowwise "
        "stages stepper table=lookup trace unroll"
    ),
    "evaluation": "assessment=evaluate baselines diagnosis dynamic scoring training_text unknown",
    "files": "storage=atomic checkpoint plain regular typed",
    "network": "calling explain leaves=pytree mesh sizing",
    "registry": (
        "entrypoints habits hookspecs listing localfile=single_file offers options plugin "
        "provider spec"
    ),
    "runs": (
        "course directory loopstate=loop_state making=components manifest metrics model naming "
        "opening recovery run=config settings"
    ),
    "sampling": "writing=text",
    "text": (
        "alphabet corpus decoding=decode encoding=encode kept mapped recognition sources=load split"
    ),
    "training": (
        "audience=observers batches experiment=setup incidents launch=train record=resuming "
        "session=loop sitting=run soundness trained"
    ),
}
"""The modules that moved into each room; ``OLD=NEW`` has another name there."""

_ELSEWHERE = {
    "recipes": "charrnn_recipes",
    "selfcheck": "charrnn_check.resume",
    "suffixes": "charrnn_copying.suffixes",
    "testing.cell_learning": "charrnn_core.testing.cell.learning",
    "testing.cell_subject": "charrnn_core.testing.cell.subject",
    "testing.performance": "charrnn_check.performance",
}


@functools.cache
def moved() -> dict[str, str]:
    """Return the names of modules that moved, with their new names."""
    moves = {f"charrnn_core.{old}": new for old, new in _ELSEWHERE.items()}
    for room, names in _ROOMS.items():
        for old, _, new in (name.partition("=") for name in names.split()):
            moves[f"charrnn_core.{old}"] = f"charrnn_core.{room}.{new or old}"
    return moves


_IN_ROOMS = {
    "charrnn_core.evaluation": {"report": "Row Tally tally Evaluation"},
    "charrnn_core.network": {"network": "Dropouts Network"},
    "charrnn_core.registry": {"registry": "Registry"},
    "charrnn_core.sampling": {
        "chain": "Chain SamplerContext SamplerFunction",
        "draw": "Drawn",
        "prompt": "encode_prompt",
    },
    "charrnn_core.training": {"update": "Loss MakeOptimizer Measured TrainState Trainer"},
}
"""Rooms called like an old module: what its names are, by the module that has them now."""


class _Moved:
    """A finder that refuses modules that moved; last of all, so that it costs no other import."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise `ModuleNotFoundError` for a module that moved; say nothing of any other."""
        if fullname in moved():
            # Without `name`: 'from charrnn_core import batches' would swallow the message.
            raise ModuleNotFoundError(f"{fullname} is now {moved()[fullname]}")
        return None


def refuse_old_paths() -> None:
    """Let every import of a module that moved say where it is now."""
    if _Moved not in sys.meta_path:
        sys.meta_path.append(_Moved)


def names_of_old(room: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a room that is called like an old module.

    >>> names_of_old("charrnn_core.registry")("Registry").__name__
    'Registry'
    """
    homes = {name: module for module, names in _IN_ROOMS[room].items() for name in names.split()}

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{room}.{homes[name]}"), name)

    return find
