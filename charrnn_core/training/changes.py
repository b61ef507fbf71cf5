"""What must not have changed when a run is resumed."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from charrnn_core.errors import ResumeError
from charrnn_core.runs.config import BUDGETS
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.text.corpus import Corpus

_DIGITS = 12


def check_config(then: Mapping[str, Any], now: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Refuse a configuration that differs from the checkpoint's in what decides what is learnt.

    Its budget, its observers and the place of its text may.

    Raises:
        ResumeError: it does; both values are named, and the flag that allows it.
    """
    for key in sorted((then.keys() | now.keys()) - {*BUDGETS, "observers", "source"}):
        flag = "shards" if key == "shards" else "config"
        if then.get(key) != now.get(key):
            _refuse(flag, f"{key} of the config", then.get(key), now.get(key), allowed)


def check_plugins(
    then: Iterable[Mapping[str, Any]], now: list[dict[str, Any]], allowed: Collection[str]
) -> None:
    """Refuse other versions or providers of the plugins than those the checkpoint was made with.

    Raises:
        ResumeError: there are; both are named, and the flag that allows it.
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
    """Refuse another text, or one with other symbols, than the run was trained on.

    Arguments:
        then, known: the text as the checkpoint describes it, and the model's alphabet.
        corpus, found: the text as it is now, and its own alphabet.

    Raises:
        ResumeError: it is another; both are named, and the flag that allows it.
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
    shown = ", ".join(map(repr, sorted(symbols)[:10]))
    return f" with {shown}{' and more' if len(symbols) > 10 else ''}"


def _refuse(flag: str, what: str, then: Any, now: Any, allowed: Collection[str]) -> None:
    if flag not in allowed:
        raise ResumeError(
            f"{what} has changed: it was {then!r} in the checkpoint and is {now!r} now; change it "
            f"back, or go on from here with --allow-change {flag}"
        )
