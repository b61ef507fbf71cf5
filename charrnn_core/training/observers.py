"""The observers of a training: notifying them, and saving and restoring their states."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from charrnn_core.blame import told_with_place
from charrnn_core.errors import CharRNNError
from charrnn_core.events import Event, notify
from charrnn_core.files.plain import plain
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.components import make

MOST_BYTES = 2**18
"""The most that the states of all observers may take; they must fit in a checkpoint's header."""


class Observers:
    """The observers; one that raises is reported once, and not notified any more.

    The same happens to one whose state a checkpoint cannot store; the others' states are saved.

    Arguments:
        refs: the observers that the configuration names, whose states are saved.
        others: more observers, as objects.
        registry: where `refs` are looked up.
        note: takes lines for the user.
    """

    def __init__(
        self,
        refs: Iterable[Ref],
        others: Iterable[object],
        registry: Registry,
        note: Callable[[str], None],
    ) -> None:
        self._named: dict[str, Any] = {}
        for ref in refs:
            observer = make(registry, "observer", ref)
            self._named[_free_name(ref.use, self._named)] = observer
        self._observers = [*self._named.values(), *others]
        self._note = note

    def notify(self, event: Event) -> None:
        """Notify every observer.

        Raises:
            CharRNNError: an observer cannot do its work, such as writing to a full disk.
        """
        for observer in list(self._observers):
            with self._dropped_if_it_fails(observer):
                notify(observer, event)

    def states(self) -> dict[str, Any]:
        """Return the states of the named observers by name, as plain data for a checkpoint."""
        states: dict[str, Any] = {}
        for name, observer in self._named.items():
            if self._is_active(observer) and _has_state(observer):
                with self._dropped_if_it_fails(observer):
                    states = _with(states, name, observer.state())
        return states

    def restore(self, states: Mapping[str, Any]) -> None:
        """Restore the named observers from a checkpoint's `states`."""
        for name, observer in self._named.items():
            if name in states and self._is_active(observer) and _has_state(observer):
                with self._dropped_if_it_fails(observer):
                    observer.restore(states[name])

    @contextmanager
    def _dropped_if_it_fails(self, observer: object) -> Iterator[None]:
        """Drop an observer if it raises: its bug, or a closed terminal, must not end a training."""
        try:
            yield
        except CharRNNError:
            raise
        except (Exception, SystemExit) as error:
            # By identity, since authors may define equality in any way.
            self._observers = [other for other in self._observers if other is not observer]
            name = type(observer).__name__
            self._note(f"observer {name} failed and was removed: {told_with_place(error)}")

    def _is_active(self, observer: object) -> bool:
        return any(other is observer for other in self._observers)


def _with(states: Mapping[str, Any], name: str, state: object) -> dict[str, Any]:
    """Return the states with one more.

    Raises:
        ValueError: a checkpoint cannot store it.
    """
    try:
        return plain({**states, name: state}, MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"a checkpoint cannot store its state: {error}") from error


def _has_state(observer: object) -> bool:
    return hasattr(observer, "state") and hasattr(observer, "restore")


def _free_name(name: str, taken: Iterable[str]) -> str:
    """Return a name for another observer, such as ``jsonl`` or, for the second, ``jsonl#2``."""
    count = sum(other.partition("#")[0] == name for other in taken)
    return f"{name}#{count + 1}" if count else name
