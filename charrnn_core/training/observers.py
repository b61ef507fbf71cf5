"""The observers of a training: what they hear, and what they want remembered."""

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
"""What all observers may have remembered; a checkpoint's header has to hold it."""


class Observers:
    """The observers; one that raises is named once and left out from then on.

    So is one whose state no checkpoint could give back: the checkpoints of all others stay good.

    Arguments:
        refs: the observers that the configuration names. What they remember is saved.
        others: more observers, as objects.
        note: takes lines the user should see.
    """

    def __init__(
        self,
        refs: Iterable[Ref],
        others: Iterable[Any],
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
            with self._left_out_if_it_fails(observer):
                notify(observer, event)

    def states(self) -> dict[str, Any]:
        """What the named observers want a checkpoint to remember, by name: plain data."""
        states: dict[str, Any] = {}
        for name, observer in self._named.items():
            if self._is_active(observer) and _remembers(observer):
                with self._left_out_if_it_fails(observer):
                    states = _with(states, name, observer.state())
        return states

    def restore(self, states: Mapping[str, Any]) -> None:
        """Take the named observers back to what a checkpoint remembers of them."""
        for name, observer in self._named.items():
            if name in states and self._is_active(observer) and _remembers(observer):
                with self._left_out_if_it_fails(observer):
                    observer.restore(states[name])

    @contextmanager
    def _left_out_if_it_fails(self, observer: Any) -> Iterator[None]:
        """An observer's bug, or a terminal that went away, must not cost a training."""
        try:
            yield
        except CharRNNError:
            raise
        except (Exception, SystemExit) as error:
            # By identity: one may be equal to another, or to nothing at all.
            self._observers = [other for other in self._observers if other is not observer]
            name = type(observer).__name__
            self._note(f"observer {name} failed and is left out: {told_with_place(error)}")

    def _is_active(self, observer: Any) -> bool:
        return any(other is observer for other in self._observers)


def _with(states: Mapping[str, Any], name: str, state: Any) -> dict[str, Any]:
    """The states with one more.

    Raises:
        ValueError: no checkpoint would give it back.
    """
    try:
        return plain({**states, name: state}, MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"no checkpoint can keep its state: {error}") from error


def _remembers(observer: Any) -> bool:
    return hasattr(observer, "state") and hasattr(observer, "restore")


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    count = sum(other.partition("#")[0] == name for other in taken)
    return f"{name}#{count + 1}" if count else name
