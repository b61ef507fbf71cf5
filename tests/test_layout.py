"""What commands print for a person: in a terminal of 80, 60 and 120 columns, and in a pipe."""

import re
import sys

import pytest
from charrnn_info.screen import lines
from charrnn_plugins.screen import for_programs, for_terminal

from charrnn_core.console import layout
from charrnn_core.console.layout import alarm, folded, heading, labelled, room, wants_colours
from charrnn_core.registry.words import component
from tests.terminals import in_terminal

WIDTHS = [60, 80, 120]


def row(kind, name, distribution="charrnn", version="0.1.0", status="ok", summary="a summary"):
    return {
        "kind": kind, "name": name, "distribution": distribution, "version": version,
        "status": status, "summary": summary,
    }  # fmt: skip


ROWS = [
    row("cell", "elman", summary="h' = tanh(W h + U x + b), " * 4),
    row("cell", "twin", "charrnn-twin-a", "1.0", "ambiguous: also offered by charrnn-twin-b"),
    row("loss", "crossentropy"),
    row("unknown", "gone", "charrnn-gone", "2.0", "failed: ModuleNotFoundError:\n no \x1b[2J", ""),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_plugins_by_kind_and_what_is_wrong_at_the_end(width):
    shown = for_terminal(ROWS, width)
    assert max(map(len, shown)) <= width
    text = " ".join("\n".join(shown).split())
    assert shown[0] == "cell" and "charrnn 0.1.0" not in text and " ok" not in text
    assert (
        text.index("twin a summary [charrnn-twin-a 1.0]")
        < text.index("loss")
        < (text.index("faults cell twin of charrnn-twin-a 1.0: ambiguous: also offered by"))
    )
    assert r"gone of charrnn-gone 2.0: failed: ModuleNotFoundError: no \x1b[2J" in text
    assert "unknown" not in text


def test_plugins_in_a_pipe_are_a_line_each():
    shown = for_programs(ROWS)
    assert len(shown) == len(ROWS)
    assert [line.split()[:2] for line in shown] == [[r["kind"], r["name"]] for r in ROWS]
    assert shown[1].endswith(
        "a summary [charrnn-twin-a 1.0; ambiguous: also offered by charrnn-twin-b]"
    )
    assert r"\x1b" in shown[3] and for_programs([]) == []


TABLE = {
    "checkpoint": "runs/a/checkpoints/step-000000100.crn",
    "status": "finished",
    "charrnn": "0.1.0",
    "created": "2026-01-01T00:00:00+00:00",
    "environment": {"python": "3.11.7", "jax": "0.10.2"},
    "config": {
        "source": {"use": "python-docs"},
        "cell": {"use": "stacked", "layers": [{"use": "lstm", "features": 256}] * 3},
        "embedding": 64, "tied": False, "batch": 7, "window": 64, "prompt": "a b", "seed": 0,
        "optimizer": {"use": "adam", "learning_rate": 0.004, "schedule": "cosine", "clip": 1.0},
        "alphabet": "chars", "split": "last-10%",
    },
    "alphabet": "\n abc\x1b" + "".join(map(chr, range(0x4E00, 0x4F00))),
    "plugins": [
        {"kind": "cell", "name": "lstm", "distribution": "charrnn", "version": "0.1.0"},
        {"kind": "sampler", "name": "odd", "distribution": "charrnn-odd", "version": "2.0"},
        {"kind": "loss", "name": "crossentropy", "distribution": "charrnn", "version": "0.1.0"},
    ],
    "corpus": {"name": "python-docs", "characters": 12345, "sha256": "0" * 64},
    "model": {"step": 100, "last": 100, "best": 80, "evaluations": 5},
    "step": 100,
    "held_out_nats_per_char": 1.5,
    "loop": {"best": 1.25, "best_step": 80, "characters": 10**6, "seconds": 300.0, "rollbacks": 2},
    "observers": {"jsonl": {"bytes": 343}},
    "parameters": 1234567,
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_info_has_the_result_first(width):
    shown = lines(TABLE, width)
    # What stands alone and is longer, such as a digest, is not torn.
    assert max(len(line) for line in shown if "0" * 64 not in line) <= width
    assert shown[:3] == [
        "result",
        "  status      finished",
        "  held-out    1.5000 nats, 2.1640 bits per character",
    ]
    text = " ".join("\n".join(shown).split())
    for words in (
        "model update 100, the last best 1.2500 nats, 1.8034 bits per character, after update 80",
        "trained 100 updates, 1,000,000 characters, 5.0 minutes", "trouble 2 rollbacks",
        "cell stacked: layers=(lstm: features=256; lstm: features=256; lstm: features=256)",
        "network 1,234,567 parameters, embedding of 64",
        r"alphabet 262 symbols: \n space a b c \x1b 一", " and 142 more",
        "optimizer adam: learning_rate=0.004, schedule=cosine, clip=1.0",
        'batch 7 prompt "a b" others defaults',
        "plugins charrnn 0.1.0: cell lstm, loss crossentropy charrnn-odd 2.0: sampler odd",
    ):  # fmt: skip
        assert words in text, words
    assert not re.search("[{}]|jsonl|incident_bytes|window", text)


def test_info_in_a_pipe_has_a_line_for_each_fact():
    shown = lines(TABLE, None)
    assert sum(line.startswith("  alphabet ") for line in shown) == 1
    assert len(shown) < 40 and component(TABLE["config"]["cell"]) in " ".join(shown)


def test_info_of_what_says_little():
    """A checkpoint of before, or of a model of bytes that was never measured."""
    table = {
        "checkpoint": "a.crn", "status": "unknown", "alphabet": "\x00", "parameters": 3,
        "config": {"alphabet": "bytes", "cell": {"use": "elman"}},
    }  # fmt: skip
    text = "\n".join(lines(table, 80))
    assert "held-out    not measured" in text and "alphabet  the 256 bytes" in text
    assert "network   3 parameters\n" in text


def test_words_stay_whole_and_escapes_are_shown():
    assert folded("one two", 4) == ["one two"]  # too narrow to be worth it
    long = "x" * 90
    assert folded(f"one {long} two", 30, "- ", "  ") == ["- one", f"  {long}", "  two"]
    assert folded("", 30, "- ") == ["-"] and folded("", None) == [""]
    assert folded("a\x1b[31mb\nc", None) == [r"a\x1b[31mb c"]
    assert labelled([], 80) == []


def test_nothing_is_folded_or_coloured_without_a_terminal(monkeypatch):
    assert room() is None and not wants_colours()
    assert heading("a") == alarm("a") == "a"
    monkeypatch.setattr(sys, "stdout", None)  # a program without a console
    assert room() is None


def test_colours_unless_the_user_objects(monkeypatch):
    monkeypatch.setattr(layout, "_is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert heading("a") == "\x1b[1ma\x1b[0m" and alarm("a") == "\x1b[31ma\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert heading("a") == alarm("a") == "a"


def test_the_command_in_a_terminal():
    """Of 60 columns, in colour; and then without."""
    shown = in_terminal("plugins", columns=60)
    assert shown.startswith("\x1b[1mcell\x1b[0m\r\n  elman")
    assert all(len(re.sub(r"\x1b[^m]*m", "", line)) <= 60 for line in shown.split("\r\n"))
    assert "\x1b" not in in_terminal("plugins", columns=60, NO_COLOR="1")
