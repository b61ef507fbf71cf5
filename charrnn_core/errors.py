"""The exceptions a user can meet, drawn as a tree.

* CharRNNError                 everything charrnn raises on purpose; exit code 1
  + UsageError                 the request itself is wrong; exit code 2
  |  + SpecError               a spec such as ``elman:256`` cannot be read
  |  + OptionError             an option is unknown, of the wrong type or out of bounds
  |  + UnknownNameError        no plugin, split, recipe or field of that name; the nearest is listed
  |  + AmbiguousNameError      two distributions provide that name
  |  + UnknownSymbolError      text holds symbols the alphabet lacks
  + PluginError                a plugin is missing, broken or breaks its contract
  + EngineError                the unroll engine was asked for and cannot read a cell's step
  + SourceError                a corpus source cannot deliver its text
  + CorpusError                a text is empty, too short, or not text
  + TrainingError              training cannot go on (a loss that is not finite)
  + SamplingError              nothing is left to draw from
  + DeviceError                jax sees fewer devices than the run was cut for
  + ResumeError                a run cannot go on as it began: something has changed
  + OutputError                standard output cannot be written to
  |  + ReaderLeftError         because its reader has seen enough; exit code 0
  + StorageError               a file or directory cannot be read or written
     + CheckpointError         a checkpoint is damaged, foreign, or does not fit
     + RunDirectoryError       a path is not a run directory

Each message says what was wrong, the value got, what was expected and what to do. The command line
prints it as one line and leaves with `exit_code`; a library user catches `CharRNNError`.
"""

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar

_MOST_SHOWN = 200
_LONGEST_VALUE = 200


class CharRNNError(Exception):
    """Base of every error charrnn raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(CharRNNError):
    """The request itself is wrong."""

    exit_code: ClassVar[int] = 2


class SpecError(UsageError):
    """A spec such as ``elman:256`` cannot be read."""


class OptionError(UsageError):
    """An option is unknown, of the wrong type or out of bounds."""


class UnknownNameError(UsageError):
    """There is nothing of that name.

    Arguments:
        what: what was looked for, such as ``"cell"`` or ``"option of cell 'elman'"``.
        name: the name that was asked for.
        known: the names there are.
        notes: sentences that may explain the absence, such as a plugin that failed to load.
        instead: how to say what is meant, if that is known.

    >>> print(UnknownNameError("cell", "elmann", ["elman", "stacked"]))
    no cell named 'elmann' (did you mean 'elman'?); there are: elman, stacked
    """

    def __init__(
        self,
        what: str,
        name: str,
        known: Iterable[str],
        notes: Iterable[str] = (),
        instead: str | None = None,
    ):
        choices = sorted(known)
        hint = f" (here it is {instead})" if instead else ""
        if not hint and (nearest := difflib.get_close_matches(name, choices, n=1)):
            hint = f" (did you mean {nearest[0]!r}?)"
        there_are = f"there are: {', '.join(choices)}" if choices else "there are none"
        name = name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}..."
        super().__init__("; ".join([f"no {what} named {name!r}{hint}", there_are, *notes]))


class AmbiguousNameError(UsageError):
    """Two distributions provide that name."""


class UnknownSymbolError(UsageError):
    """Text holds symbols the alphabet lacks."""


class PluginError(CharRNNError):
    """A plugin is missing, broken or breaks its contract."""


class EngineError(CharRNNError, NotImplementedError):
    """The unroll engine was asked for and cannot read a cell's step."""


class EngineWarning(RuntimeWarning):
    """The unroll engine failed on a cell's step, and a plain scan does its work."""


class SourceError(CharRNNError):
    """A corpus source cannot deliver its text."""


class CorpusError(CharRNNError):
    """A text is empty, too short, or not text."""


class TrainingError(CharRNNError):
    """Training cannot go on."""


class SamplingError(CharRNNError):
    """Nothing is left to draw from: every symbol is forbidden, or the model gives no numbers."""


class DeviceError(CharRNNError):
    """Jax sees fewer devices than the run was cut for."""


class ResumeError(CharRNNError):
    """A run cannot go on as it began: something has changed."""


class OutputError(CharRNNError, OSError):
    """Standard output cannot be written to."""


class ReaderLeftError(OutputError):
    """Nobody reads standard output any more."""

    exit_code: ClassVar[int] = 0


class StorageError(CharRNNError):
    """A file or directory cannot be read or written."""


class CheckpointError(StorageError):
    """A checkpoint is damaged, foreign, or does not fit."""


class RunDirectoryError(StorageError):
    """A path is not a run directory."""


def shown(value: Any) -> str:
    """A value as a message shows it: in one line, and not a long one.

    >>> shown("elman"), shown([0] * 1000)[-9:]
    ("'elman'", ', 0, 0...')
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of 5000 digits, a list 1000 deep
        return f"a value of type {type(value).__name__}, too large to show"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
