"""The contract of an observer: it follows a training run and remembers what it must.

Its output is captured, and it works in a temporary directory that is removed afterwards.
"""

import contextlib
import copy
import io
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn_core.errors import UnknownNameError
from charrnn_core.events import (
    METHODS,
    Ended,
    Evaluated,
    Event,
    Incident,
    Sampled,
    Saved,
    Started,
    Stepped,
    notify,
)
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.files.plain import plain
from charrnn_core.runs.config import RunConfig
from charrnn_core.testing.kit import Kit, NotApplicable, fail
from charrnn_core.testing.registration import REGISTRATION
from charrnn_core.testing.subject import Subject
from charrnn_core.training.observers import MOST_BYTES

_ODD = "\x1b]0;a title\x07"
_ODD_TEXTS = {
    "without a character": "",
    "with control characters": f"ho {_ODD}\x00\r\n\n",
    "with a lone surrogate": "ho \udcff ho",
    "with markup": "[bold red]ho[/] [/nothing] {0} %s </p>",
}
_TOLD = "charrnn drops an observer that raises for the rest of the run"


class ObserverSubject(Subject):
    """An observer under test.

    >>> with ObserverSubject.of("observer", "jsonl").scene() as scene:
    ...     scene.hear(training(scene.directory))
    ...     [path.name for path in sorted(scene.directory.glob("*.jsonl"))]
    ['metrics.jsonl', 'samples.jsonl']
    """

    def observer(self) -> Any:
        """Return an observer that has not received any event."""
        made = self.make()
        if self.given:
            # An object that holds a lock or an open file cannot be copied: it is used itself.
            with contextlib.suppress(Exception):
                return copy.deepcopy(made)
        return made

    @contextlib.contextmanager
    def scene(self) -> Iterator["Scene"]:
        """Provide a training run in a temporary directory; it ends with the block."""
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder, "run")
            directory.mkdir()
            with contextlib.chdir(folder):
                scene = Scene(self.observer(), directory)
                try:
                    yield scene
                finally:
                    with contextlib.suppress(Exception):  # it may have ended, or be broken
                        scene.hear([ended(directory, 9, "failed")])


@dataclass
class Scene:
    """An observer at work.

    Arguments:
        observer: the observer.
        directory: of the run.
    """

    observer: Any
    directory: Path
    output: io.BytesIO = field(default_factory=io.BytesIO)

    def hear(self, events: Iterable[Event]) -> None:
        """Tell the observer some events; what it prints is kept in `output`."""
        # As strict as a terminal: what is not UTF-8 cannot be printed.
        terminal = io.TextIOWrapper(self.output, encoding="utf-8", write_through=True)
        try:
            with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
                for event in events:
                    notify(self.observer, event)
        finally:
            terminal.detach()

    def hear_quietly(self, events: Iterable[Event]) -> None:
        """Do the same up to where it raises, which `hears_a_training` reports."""
        with contextlib.suppress(Exception):
            self.hear(events)

    def memory(self) -> Any:
        """Return its state; the checks of states do not apply without one."""
        if not all(hasattr(self.observer, name) for name in ("state", "restore")):
            raise NotApplicable("it has no state() and restore()")
        return copy.deepcopy(self.observer.state())

    def through_a_file(self, state: Any) -> Any:
        """Return a state as it comes back from a checkpoint.

        Raises:
            ValueError: it is not plain data, or too much.
        """
        path = self.directory / "state.crn"
        save_checkpoint(path, {"observers": {"given": plain(state, MOST_BYTES)}}, {})
        return load_checkpoint(path).table["observers"]["given"]


def training(directory: Path, begin: int = 0) -> list[Event]:
    """Yield a training's events from its start, or from update `begin`, without its end."""

    def stepped(step: int, held_out: float | None) -> Stepped:
        return Stepped(
            step=begin + step, epoch=(begin + step) / 4, characters=1000 * (begin + step),
            train_nats_per_char=2.5 / step, held_out_nats_per_char=held_out,
            characters_per_second=1e5, progress=step / 4, seconds_left=4.0 - step,
        )  # fmt: skip

    def saved(step: int) -> Saved:
        path = directory / f"{begin + step:08d}.crn"
        save_checkpoint(path, {}, {})
        return Saved(step=begin + step, path=path)

    started = Started(
        directory=directory, config=RunConfig(epochs=1).table(), parameters=1610, symbols=90,
        train_characters=9000, held_out_characters=1000, notes=("window is 32 instead of 64",),
        unroll="engine: 2 products", step=begin,
    )  # fmt: skip
    incident = Incident(
        step=begin + 2, epoch=begin + 0.5, positions=(0, 500), nats_per_char=float("nan"),
        gradient_norms={"cell/W": float("inf")}, action="skip",
    )  # fmt: skip
    evaluated = Evaluated(step=begin + 3, epoch=begin + 0.75, nats_per_char=1.9, bits_per_char=2.74)
    sampled = Sampled(step=begin + 3, epoch=begin + 0.75, prompt="Santa ", text="said “ho”.\nHo.")
    return [
        started, saved(0), stepped(1, None), incident, evaluated, stepped(3, 1.9), sampled, saved(3)
    ]  # fmt: skip


def ended(directory: Path, step: int, reason: str, held_out: float | None = None) -> Ended:
    """Return the event at the end of a training."""
    return Ended(
        step=step, reason=reason, held_out_nats_per_char=held_out, seconds=3.5, directory=directory
    )


def methods_are_known(subject: ObserverSubject) -> str:
    """It has a method for some event, and none for an event that does not exist."""
    observer, known = subject.observer(), METHODS.values()
    found = [name for name in dir(observer) if name.startswith("on_")]
    for name in found:
        if name not in known:
            raise UnknownNameError("method of an observer", name, known)
        if not callable(getattr(observer, name)):
            fail(f"its {name} is not a method", "make it a method that takes the event")
    if not found:
        fail("it has no method for any event", f"define at least one of {', '.join(known)}")
    return ", ".join(found)


def hears_a_training(subject: ObserverSubject) -> None:
    """It handles all events of a training run without raising."""
    with subject.scene() as scene:
        for event in [*training(scene.directory), ended(scene.directory, 3, "finished", 1.9)]:
            _tell(scene, event, "a training run", f"handle every value an event may have: {_TOLD}")


def early_ends(subject: ObserverSubject) -> None:
    """It handles a training run that ends at any moment, even before the first update."""
    for heard in (1, 2, 3, 4):
        with subject.scene() as scene:
            scene.hear_quietly(training(scene.directory)[:heard])
            last = ended(scene.directory, int(heard > 2), "failed")
            _tell(
                scene, last, f"a training run that fails after {heard} events",
                "do not rely on any other event having come before",
            )  # fmt: skip


def any_text(subject: ObserverSubject) -> None:
    """It handles any text a model may write, and sends no control characters to the terminal."""
    with subject.scene() as scene:
        scene.hear_quietly(training(scene.directory)[:3])
        for which, text in _ODD_TEXTS.items():
            event = Sampled(step=1, epoch=0.25, prompt="", text=text)
            _tell(
                scene, event, f"a sample {which}",
                "write it with charrnn_core.terminal.printable, or with errors='backslashreplace'",
            )  # fmt: skip
        if _ODD.encode() in scene.output.getvalue():
            fail(
                f"it sends the control characters {_ODD!r} of a sample to the terminal",
                "print text with charrnn_core.terminal.printable: a model may write anything",
            )


def changes_no_event(subject: ObserverSubject) -> None:
    """It does not change the events or anything in them."""
    with subject.scene() as scene:
        for event in [*training(scene.directory), ended(scene.directory, 3, "finished", 1.9)]:
            before = copy.deepcopy(event)
            scene.hear_quietly([event])
            for name, value in vars(before).items():
                now = getattr(event, name, None)
                if [now] != [value]:  # in lists, what is not a number equals itself
                    fail(
                        f"{METHODS[type(event)]} changes the event's {name} from {value!r} to "
                        f"{now!r}",
                        "work on a copy: other observers receive the same event",
                    )


def state_is_plain(subject: ObserverSubject) -> str:
    """Its state is plain data at every moment."""
    with subject.scene() as scene:
        has, lacks = "state", "restore"
        for one, other in ((has, lacks), (lacks, has)):
            if hasattr(scene.observer, one) and not hasattr(scene.observer, other):
                fail(
                    f"it has {one}() but no {other}(), so nothing is remembered",
                    f"define {other} as well",
                )
        state = None
        for event in training(scene.directory):
            scene.hear_quietly([event])
            state = scene.memory()
            try:
                scene.through_a_file(state)
            except ValueError as error:
                fail(
                    f"after {METHODS[type(event)]} its state is {state!r}, which a checkpoint "
                    f"cannot store: {error}",
                    "return None, numbers, strings, or lists and dictionaries (with string keys) "
                    "of these",
                )
    return f"state {state!r}"


def goes_on_from_a_checkpoint(subject: ObserverSubject) -> None:
    """A new observer restored from a checkpoint is where the old one was."""
    with subject.scene() as scene:
        scene.hear_quietly(training(scene.directory))
        kept = scene.memory()
        state = _kept(scene, kept)
        later = [*training(scene.directory, 3)[2:], ended(scene.directory, 6, "failed")]
        scene.hear_quietly(later)
        scene.observer = subject.observer()
        scene.observer.restore(state)
        scene.hear_quietly(training(scene.directory, 3)[:1])
        _demand_same(kept, scene.memory(), "a new observer, after restore and on_start,")


def goes_back_to_a_checkpoint(subject: ObserverSubject) -> None:
    """In the middle of a run, it can be restored to an earlier checkpoint."""
    with subject.scene() as scene:
        scene.hear_quietly(training(scene.directory))
        kept = scene.memory()
        state = _kept(scene, kept)
        scene.hear_quietly(training(scene.directory, 3)[2:])
        scene.observer.restore(state)
        _demand_same(kept, scene.memory(), "a running observer, after restore,")


def _kept(scene: Scene, state: Any) -> Any:
    try:
        return scene.through_a_file(state)
    except ValueError as error:
        raise NotApplicable("a checkpoint cannot store its state") from error


def _demand_same(kept: Any, found: Any, who: str) -> None:
    if found != kept:
        fail(
            f"the checkpoint has the state {kept!r}; {who} has {found!r}",
            "make restore bring back everything that state returns, before on_start and in the "
            "middle of a run",
        )


def _tell(scene: Scene, event: Event, what: str, change: str) -> None:
    """Tell an event; fail if the observer raises."""
    try:
        scene.hear([event])
    except Exception as error:  # whatever it raises is the finding
        fail(
            f"in {what}, {METHODS[type(event)]} raises {type(error).__name__}: {error}",
            change,
        )


KIT = Kit(ObserverSubject, (
    *REGISTRATION,
    methods_are_known, hears_a_training, early_ends, any_text, changes_no_event, state_is_plain,
    goes_on_from_a_checkpoint, goes_back_to_a_checkpoint,
))  # fmt: skip
"""The kit for observers."""
