"""The exceptions a user can meet, drawn as a tree.

* CharRNNError                 everything charrnn raises on purpose; exit code 1
  + UsageError                 the request itself is wrong; exit code 2
  |  + SpecError               a spec such as ``elman:256`` cannot be parsed
  |  + OptionError             an option is unknown, of the wrong type or out of bounds
  |  + UnknownNameError        no plugin, split, recipe or field has that name; suggests the nearest
  |  + AmbiguousNameError      two distributions provide that name
  |  + UnknownSymbolError      text holds symbols the alphabet lacks
  + PluginError                a plugin is missing, broken or breaks its contract
  + EngineError                the unroll engine was requested and cannot read a cell's step
  + ExportError                a model cannot be exported: its step does what has no code there
  + SourceError                a corpus source cannot deliver its text
  + CorpusError                a text is empty, too short, or not text
  + TrainingError              training cannot continue (a loss that is not finite)
  + SamplingError              no symbol is left to draw
  + CompressionError           bytes cannot be compressed, or not be had back here
  + DeviceError                jax sees fewer devices than the run needs
  + ResumeError                a run cannot resume exactly: something has changed
  + OutputError                standard output cannot be written to
  |  + ReaderLeftError         its reader has closed the pipe; exit code 0
  + StorageError               a file or directory cannot be read or written
     + CheckpointError         a checkpoint is damaged, foreign, or does not fit
     + RunDirectoryError       a path is not a run directory

Each message says what was wrong, the value got, what was expected and what to do. The command line
prints it as one line and exits with `exit_code`; a library user catches `CharRNNError`.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from charrnn_core.public import public

_MOST_SHOWN = 200
_LONGEST_VALUE = 200


@public
class CharRNNError(Exception):
    """Base of every error charrnn raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(CharRNNError):
    """The request itself is wrong."""

    exit_code: ClassVar[int] = 2


class SpecError(UsageError):
    """A spec such as ``elman:256`` cannot be parsed."""


@public
class OptionError(UsageError):
    """An option is unknown, of the wrong type or out of bounds."""


class UnknownNameError(UsageError):
    """Nothing has that name.

    Arguments:
        what: what was looked up, such as ``"cell"`` or ``"option of cell 'elman'"``.
        name: the name given.
        known: the available names.
        notes: sentences that may explain why it is missing, such as a plugin that failed to load.
        instead: what it is called here, if known.

    >>> print(UnknownNameError("cell", "elmann", ["elman", "stacked"]))
    no cell named 'elmann' (did you mean 'elman'?); available: elman, stacked
    """

    def __init__(
        self,
        what: str,
        name: str,
        known: Iterable[str],
        notes: Iterable[str] = (),
        instead: str | None = None,
    ):
        import difflib  # here, for it is needed only now and --help is to be quick

        choices = sorted(known)
        hint = f" (here it is {instead})" if instead else ""
        if not hint and (nearest := difflib.get_close_matches(name, choices, n=1)):
            hint = f" (did you mean {nearest[0]!r}?)"
        available = f"available: {', '.join(choices)}" if choices else "none are available"
        name = name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}..."
        super().__init__("; ".join([f"no {what} named {name!r}{hint}", available, *notes]))


class AmbiguousNameError(UsageError):
    """Two distributions provide that name."""


class UnknownSymbolError(UsageError):
    """Text holds symbols the alphabet lacks."""


class PluginError(CharRNNError):
    """A plugin is missing, broken or breaks its contract."""


class EngineError(CharRNNError, NotImplementedError):
    """The unroll engine was requested and cannot read a cell's step."""


class EngineWarning(RuntimeWarning):
    """The unroll engine failed on a cell's step, so a plain scan runs instead."""


class ExportError(CharRNNError, NotImplementedError):
    """A model cannot be exported: its step has an operation for which there is no code."""


@public
class SourceError(CharRNNError):
    """A corpus source cannot deliver its text."""


@public
class CorpusError(CharRNNError):
    """A text is empty, too short, or not text."""


class TrainingError(CharRNNError):
    """Training cannot continue."""


class SamplingError(CharRNNError):
    """No symbol is left to draw: all are forbidden, or the model's output is not finite."""


class CompressionError(CharRNNError):
    """Bytes cannot be compressed, or what was compressed cannot be had back here."""


class DeviceError(CharRNNError):
    """Jax sees fewer devices than the run needs."""


class ResumeError(CharRNNError):
    """A run cannot resume exactly: something has changed."""


class RunCompleteError(ResumeError):
    """A run has nothing left to do."""


class OutputError(CharRNNError, OSError):
    """Standard output cannot be written to."""


class ReaderLeftError(OutputError):
    """The reader of standard output has closed the pipe."""

    exit_code: ClassVar[int] = 0


class StorageError(CharRNNError):
    """A file or directory cannot be read or written."""


class CheckpointError(StorageError):
    """A checkpoint is damaged, foreign, or does not fit."""


class RunDirectoryError(StorageError):
    """A path is not a run directory."""


def expect(name: str, value: Any, kinds: Any, expected: str) -> None:
    """Refuse an argument of a wrong type.

    Arguments:
        name: what the argument is called.
        kinds: what ``isinstance`` takes.
        expected: what it may be, in words.

    Raises:
        OptionError: it is none of these.

    >>> expect("prompt", 5, str, "a text")
    Traceback (most recent call last):
    charrnn_core.OptionError: prompt is 5; expected a text
    """
    if not isinstance(value, kinds):
        raise OptionError(f"{name} is {shown(value)}; expected {expected}")


def shown(value: Any) -> str:
    """Return a value as a message shows it: on one line, truncated if long.

    >>> shown("elman"), shown([0] * 1000)[-9:]
    ("'elman'", ', 0, 0...')
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of 5000 digits, a list 1000 deep
        return f"a value of type {type(value).__name__}, too large to show"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
