"""What may have changed when a run is resumed, and what must not."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_core.errors import ResumeError, RunCompleteError, UnknownNameError
from charrnn_core.files.regular import own
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import BUDGETS, RunConfig, layered
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.manifest import as_of_today
from charrnn_core.runs.of_text import OfText
from charrnn_core.runs.settings import moved, watched
from charrnn_core.runs.settings_file import read_toml
from charrnn_core.runs.writer import RunWriter
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.setup import TrainingSetup

_DIGITS = 12
_MOST_SYMBOLS = 10


@dataclass(frozen=True)
class Changes:
    """The changes a user wants when resuming a run; the arguments are those of `resume`."""

    budget: Mapping[str, Any]
    allow: Collection[str] = ()
    source: Ref | str | None = None
    quiet: bool = False
    observers: Iterable[str] = ()

    def before_the_first_update(self, writer: RunWriter, registry: Registry) -> RunConfig:
        """Return the resolved configuration of a run that ended before its first checkpoint.

        Raises:
            ResumeError: it used single-file plugins, which the user has to name again.
        """
        values = layered(_saved_settings(writer), self.budget)
        if self.source is not None:
            values["source"] = moved(Ref.parse(values["source"]), self.source)
        config = watched(RunConfig.read(values), self.quiet, self.observers)
        try:
            return config.resolve(registry)
        except UnknownNameError as error:
            if not any(writer.plugins.glob("*.py")):
                raise
            raise ResumeError(
                f"{error}; the run has copies of single-file plugins; if you trust them, use: "
                f"{writer.command('resume', writer.path)}"
            ) from error

    def of_the_rest(self, writer: RunWriter, saved: RunConfig) -> RunConfig:
        """Return the checkpoint's configuration with the permitted changes, not yet resolved.

        The budget, the observers and the place of the text may change; the text's digest is
        checked later. If ``config`` is allowed, everything comes from the run's ``config.toml``.

        Raises:
            ResumeError: the run's ``config.toml`` has changed in anything else.
        """
        then = saved.table()
        now = then
        if os.path.lexists(writer.config_file):
            now = RunConfig.read(_saved_settings(writer)).table()
        check_config(then, now, self.allow)
        values = now if "config" in self.allow else then
        if "shards" in self.allow:
            values = {key: value for key, value in values.items() if key != "shards"}
        budget = self.budget or {key: now[key] for key in BUDGETS if key in now}
        text = Ref.parse(now["source"])
        if self.source is not None:
            text = moved(text, self.source)
        config = layered(values, {**budget, "observers": now["observers"], "source": text})
        return watched(RunConfig.read(config), self.quiet, self.observers)


def _saved_settings(writer: RunWriter) -> dict[str, Any]:
    return as_of_today(read_toml(writer.config_file, own))


def check_something_is_left(
    writer: RunWriter, setup: TrainingSetup, loop: LoopState, has_new_budget: bool
) -> None:
    """Refuse to resume a run that is complete.

    Raises:
        RunCompleteError: its budget is used up, or it was stopped early and has no new budget.
    """
    if loop.status == "stopped early" and not has_new_budget:
        raise RunCompleteError(
            f"{writer.path} was stopped early at update {loop.step}; its best update was "
            f"{loop.best_step}; to continue anyway, give it a budget such as --epochs"
        )
    # An interrupted run still needs its last evaluation, even if no time is left.
    if loop.status in ("finished", "stopped early") and setup.budget.progress(loop.step) >= 1:
        done = loop.step / setup.batching.steps_per_epoch
        raise RunCompleteError(
            f"{writer.path} is complete: {done:.4g} epochs in {loop.seconds / 60:.3g} minutes; "
            "to extend it, set a larger total budget with --epochs, --minutes or --characters"
        )


def length_in_words(config: RunConfig) -> str:
    """Describe the budget of a run.

    >>> length_in_words(RunConfig(epochs=3, minutes=1.5))
    '3 epochs or 1.5 minutes'
    """
    settings = config.table()
    return " or ".join(f"{settings[key]:g} {key}" for key in BUDGETS if key in settings)


def check_config(then: Mapping[str, Any], now: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Refuse a configuration that would train another model than the checkpoint's.

    The budget, the observers and the place of the text may differ.

    Raises:
        ResumeError: another setting differs; the message has both values and the flag to allow it.
    """
    for key in sorted((then.keys() | now.keys()) - {*BUDGETS, "observers", "source"}):
        flag = "shards" if key == "shards" else "config"
        if then.get(key) != now.get(key):
            _refuse(flag, f"{key} of the config", then.get(key), now.get(key), allowed)


def check_plugins(
    then: Iterable[Mapping[str, Any]], now: list[dict[str, Any]], allowed: Collection[str]
) -> None:
    """Refuse plugins of other versions or providers than those the checkpoint was made with.

    Raises:
        ResumeError: one differs; the message has both and the flag to allow it.
    """
    found = {(record["kind"], record["name"]): record for record in now}
    for record in then:
        other = found.get((record["kind"], record["name"]))
        if record["kind"] != "observer" and other is not None and other != record:
            what = f"the provider of {record['kind']} {record['name']!r}"
            _refuse("plugins", what, _provider(record), _provider(other), allowed)


def _provider(record: Mapping[str, Any]) -> str:
    return f"{record['distribution']} {record['version']}, state {record['state_version']}"


def check_text(
    then: Mapping[str, Any],
    known: Alphabet,
    corpus: Corpus,
    found: Alphabet,
    allowed: Collection[str],
) -> None:
    """Refuse a text other than the one the run was trained on.

    Arguments:
        then, known: the checkpoint's record of the text, and the model's alphabet.
        corpus, found: the text as it is now, and its own alphabet.
        allowed: the flags of ``--allow-change``.

    Raises:
        ResumeError: it differs; the message describes both and names the flag to allow it.
    """
    digest = corpus.sha256
    if then["sha256"] != digest:
        _refuse(
            "text",
            f"the text of {corpus.origin}",
            f"{then['characters']} characters with SHA-256 {then['sha256'][:_DIGITS]}...",
            f"{corpus.characters} characters with SHA-256 {digest[:_DIGITS]}...",
            allowed,
        )
    if then["sha256"] != digest and known != found:
        lost, new = (set(a.symbols) - set(b.symbols) for a, b in ((known, found), (found, known)))
        _refuse(
            "alphabet",
            "the alphabet of the text",
            f"{len(known)} symbols{_more(lost)}",
            f"{len(found)} symbols{_more(new)}",
            allowed,
        )


def _more(symbols: set[str]) -> str:
    if not symbols:
        return ""
    shown = ", ".join(map(repr, sorted(symbols)[:_MOST_SYMBOLS]))
    more = " and more" if len(symbols) > _MOST_SYMBOLS else ""
    return f" with {shown}{more}"


def _refuse(flag: str, what: str, then: object, now: object, allowed: Collection[str]) -> None:
    if flag not in allowed:
        raise ResumeError(
            f"{what} has changed: it was {then!r} in the checkpoint and is now {now!r}; change it "
            f"back, or resume with the change: --allow-change {flag}"
        )


def still_true(of_text: OfText, then: RunConfig, now: RunConfig, changes: Changes) -> OfText:
    """Return what a text told a network, without its counts if they have to be made again."""
    differ = (then.counts, then.documents) != (now.counts, now.documents)
    return OfText(of_text.owners) if differ or "text" in changes.allow else of_text
