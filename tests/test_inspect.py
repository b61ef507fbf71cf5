"""``charrnn inspect``: the page, what it says, and what a visitor does with it."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from charrnn_inspect.analysis import Followed, analyse
from charrnn_inspect.enclosed import enclosed
from charrnn_inspect.rounding import LEVELS, as_levels, as_shades
from charrnn_inspect.selection import choose_units
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from charrnn_core import load
from charrnn_core.errors import ExportError
from charrnn_core.evaluation.chosen_text import choose_text
from charrnn_core.inspection.reading import ReadText
from charrnn_core.inspection.units import Unit
from tests.inspected import data_of, made, unpacked


@pytest.fixture(scope="module")
def run(tmp_path_factory, text_file):
    """A small run, for which counts of its text are a part of the prediction."""
    return made(tmp_path_factory.mktemp("inspect") / "run", text_file).directory


@pytest.fixture(scope="module")
def page(tmp_path_factory, run):
    """The page of a text with all that features find, and of symbols that need escaping."""
    from tests.commands import in_process

    folder = tmp_path_factory.mktemp("page")
    text = "".join(
        random.Random(1).choice(["Ann sees Bob and 7.\n", "Cyd hears "]) for _ in range(40)
    )
    (folder / "text.txt").write_text(text)
    done = in_process(["inspect", run, "text.txt", "--units", "9"], folder, {})
    assert done.returncode == 0, done.stderr
    return folder / "inspect.html", text


def test_the_page_has_the_text_and_the_bits_that_score_says(page, run, charrnn):
    path, text = page
    data = data_of(path)
    symbols = [{"↵": "\n"}.get(symbol, symbol) for symbol in data["symbols"]]
    assert "".join(symbols[i] for i in unpacked(data)["ids"]) == text
    done = charrnn("score", run, path.parent / "text.txt")
    bits = [json.loads(line)["bits"] for line in done.stdout.splitlines()]
    np.testing.assert_allclose(unpacked(data)["bits"], bits, atol=1e-3)
    assert f"{np.mean(bits):.3f} bits per character" in path.read_text()


def test_the_likeliest_have_the_chances_that_their_bits_say(page):
    data = data_of(page[0])
    top = unpacked(data)["top"].reshape(-1, 5)
    bits = unpacked(data)["bits"]
    ids = unpacked(data)["ids"]
    chances = unpacked(data)["chances"].reshape(-1, 5) / 255
    hits = [(t, list(top[t - 1]).index(ids[t])) for t in range(1, len(ids)) if ids[t] in top[t - 1]]
    assert len(hits) > len(ids) / 2
    for t, place in hits:
        assert chances[t - 1, place] == pytest.approx(2 ** -bits[t], abs=0.003)
    assert (np.diff(chances, axis=1) <= 0).all()


def test_the_held_out_text_is_the_default(run, charrnn, tmp_path):
    done = charrnn("inspect", run, "--characters", 60, "--units", 3, "--out", "a.html", "--last")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"a\.html: \d+ kB; open it in any browser, .*\n", done.stdout)
    text, data = (tmp_path / "a.html").read_text(), data_of(tmp_path / "a.html")
    assert "60 characters of" in text and "the valid part of last-10%" in text
    assert len(data["units"]) == 3 and "3 of 12 units are on this page" in text


def test_the_model_is_in_the_page_where_there_is_room_or_by_request(run, charrnn, tmp_path):
    found = {}
    for words in ((), ("--no-model",), ("--model", "--characters", "20")):
        done = charrnn("inspect", run, "--characters", 30, *words)
        assert done.returncode == 0, done.stderr
        found[words] = data_of(tmp_path / "inspect.html")["model"]
    assert [model is not None for model in found.values()] == [True, False, True]


def test_a_model_without_room_or_without_a_counterpart_is_left_out_and_the_page_says_why(
    run, monkeypatch
):
    model = load(run)
    small = enclosed(model, None, 100)
    assert small.data is None and re.search(r"page with --model. .* more than 1 MB", small.words)

    def refuse(network, params):
        raise ExportError("cell.py:7: what it does cannot be exported to JavaScript")

    monkeypatch.setattr("charrnn_inspect.enclosed.compile_step", refuse)
    refused = enclosed(model, True, 10**9)
    assert refused.data is None and "cannot be read here: cell.py:7: what" in refused.words


@pytest.mark.slow
def test_a_text_from_a_pipe_in_a_process(charrnn_process, run, tmp_path):
    done = charrnn_process("inspect", run, "-", "--unknown", "skip", stdin="Ann sees ☃ Bob.\n")
    assert done.returncode == 0 and "1 unknown characters are skipped" in done.stderr
    assert "standard input" in (tmp_path / "inspect.html").read_text()


def test_what_cannot_be_read_is_refused_in_a_line_and_nothing_is_lost(run, charrnn, tmp_path):
    (tmp_path / "inspect.html").write_text("mine")
    (tmp_path / "odd.txt").write_text("snow ☃")
    for words in (("odd.txt",), ("nowhere.txt",), ("odd.txt", "--out", "no/folder/x.html")):
        done = charrnn("inspect", run, *words)
        assert done.returncode in (1, 2) and done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("Error: ")
    assert (tmp_path / "inspect.html").read_text() == "mine"


@pytest.mark.slow
def test_a_model_of_bytes_and_of_documents(tmp_path, text_file, charrnn):
    run = made(
        tmp_path / "run", text_file, alphabet="bytes", documents="lines", cell="gru:4"
    ).directory
    (tmp_path / "text.txt").write_text("Zoë (sees) Bob.\n" * 20)
    done = charrnn("inspect", run, "text.txt")
    assert done.returncode == 0, done.stderr
    data, text = data_of(tmp_path / "inspect.html"), (tmp_path / "inspect.html").read_text()
    shown = "".join(data["symbols"][i] for i in unpacked(data)["ids"][:4])
    assert shown == "ZoC3AB" and "counted from the beginning of the document" in text
    assert "bytes of text.txt" in text and "in brackets" in text


@given(arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32)))
def test_levels_are_near_what_they_stand_for(values):
    levels, origin, scale = as_levels(values)
    assert np.abs(levels.astype(int)).max() <= LEVELS
    shown = origin + levels * scale / LEVELS
    assert np.abs(shown - values).max() <= scale / LEVELS / 2 + 1e-6 * np.abs(values).max()
    if values.min() < 0 < values.max():
        assert origin == 0.0 and (np.sign(levels) * np.sign(values) >= 0).all()


def test_numbers_that_are_none_have_no_colour():
    levels, origin, scale = as_levels(np.array([np.nan, np.inf, 1.0, -1.0], np.float32))
    assert levels.tolist() == [0, 0, 31, -31] and (origin, scale) == (0.0, 1.0)
    assert as_levels(np.full(2, np.nan, np.float32)).scale == 0.0
    assert as_shades(np.array([[np.nan, 2.0]], np.float32)).tolist() == [[0, 15]]


def read_of(values: np.ndarray, units: list[Unit]) -> ReadText:
    none = np.zeros((len(values), 1), np.int32)
    return ReadText(
        none[:, 0], none[:, 0], none[:, 0], none, none, values, tuple(units), len(units)
    )


def test_the_best_units_of_every_feature_have_a_place_before_lively_ones():
    values = np.random.default_rng(0).normal(size=(50, 12)).astype(np.float32)
    units = [Unit("c" if i < 6 else "h", i % 6) for i in range(12)]
    followed = [
        Followed("a", ((3, 0.9), (1, 0.5)), 0.1, 0.9),
        Followed("b", ((11, 0.9), (3, 0.5)), 0.1, 0.9),
    ]
    read = read_of(values, units)
    assert choose_units(read, followed, 2) == [3, 11]
    assert choose_units(read, followed, 3) == [1, 3, 11]
    more = choose_units(read, followed, 7)
    assert {1, 3, 11} < set(more) and more == sorted(more) and len(more) == 7
    assert choose_units(read, followed, 99) == list(range(12)) == choose_units(read, [], 99)


def test_loss_since_the_beginning_falls_as_a_carry_fills(run):
    model = load(run)
    part = choose_text(model, None, None, "error", lambda line: None)
    found = analyse(model, part.pieces, 100)
    first, *_, last = found.settling
    assert (first.first, first.last) == (1, 1) and last.last == 256
    assert first.mean > last.mean > 0 and last.margin > 0
    assert found.reach[0].mean > found.reach[-1].mean and found.reach[-1].last == 64


# A text in which quotations are what there is to know.


def quotations(length: int, seed: int, longest: int) -> str:
    """Parts of up to so many words, half of them in quotation marks; all words are drawn alike.

    The marks alone tell whether a quotation is open: the words, their number and the spaces between
    them are the same inside and outside. Whoever forgets it expects marks that cannot come: one
    after a space opens, and only outside; one after a word closes, and only inside.
    """
    draw, parts, size = random.Random(seed), [], 0
    while size < length:
        part = " ".join(draw.choices(["ba", "do", "gu", "mi"], k=draw.randint(1, longest)))
        parts.append(f'"{part}" ' if draw.random() < 0.5 else f"{part} ")
        size += len(parts[-1])
    return "".join(parts)[:length]


def followed_quotation(folder: Path, longest: int, **settings) -> Followed:
    (folder / "text.txt").write_text(quotations(200_000, 0, longest))
    plain = dict(window=32, counts=0, context=0)
    trained = made(folder / "run", folder / "text.txt", **plain, **settings)
    part = choose_text(trained.model, None, None, "error", lambda line: None)
    found = analyse(trained.model, part.pieces, 10_000)
    row = next(row for row in found.followed if row.name == "in quotation")
    print(f"best r {row.best[0][1]:+.3f}, by chance {row.chance:.3f}, all units {row.probe:.3f}")
    return row


@pytest.mark.slow
def test_a_unit_follows_quotations_and_none_does_by_chance(tmp_path):
    row = followed_quotation(tmp_path, 3, cell="lstm:24", batch=4, characters=200_000)
    assert abs(row.best[0][1]) >= 0.7 and row.chance < 0.2 and row.probe > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("cell, embedding", [("lstm:24", 5), ("lstm:256", 64)])
def test_a_unit_follows_longer_quotations(tmp_path, cell, embedding):
    """Measured: |r| 0.881 and 0.103 by chance with 24 units, 0.990 and 0.114 with 256."""
    row = followed_quotation(
        tmp_path, 8, cell=cell, embedding=embedding, batch=16, characters=1_000_000
    )
    assert abs(row.best[0][1]) >= 0.7 and row.chance < 0.2 and row.probe > 0.9
