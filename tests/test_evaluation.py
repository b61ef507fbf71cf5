"""Means and intervals against NumPy, and what is shown of them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.evaluation.report import Evaluation, Tally, tally
from charrnn_core.evaluation.row import Row


def normal(characters, seed=0):
    return np.random.default_rng(seed).gamma(2.0, size=characters).astype(np.float32)


@given(st.lists(st.integers(1, 900), min_size=1, max_size=5))
def test_a_mean_does_not_depend_on_how_it_arrives(lengths):
    nats = normal(sum(lengths))
    pieces = np.split(nats, np.cumsum(lengths)[:-1])
    counted = tally(pieces, len(nats))
    assert counted.mean == pytest.approx(nats.mean(dtype=np.float64), rel=1e-12)
    assert counted.row("model") == tally([nats], len(nats)).row("model")


@pytest.mark.parametrize("characters", [40_000, 25_500, 3_000_000])
def test_the_interval_of_independent_characters_is_the_normal_one(characters):
    nats = normal(characters)
    row = tally([nats], characters).row("model")
    assert row.interval is not None
    low, high = row.interval
    assert low < row.nats_per_char < high
    expected = 2 * 1.96 * nats.std() / np.sqrt(characters)
    assert high - low == pytest.approx(expected, rel=0.35)  # estimated from 26 blocks and more


def test_what_hangs_together_is_less_sure():
    levels = np.repeat(np.random.default_rng(1).gamma(2.0, size=200), 500)
    together, shuffled = levels, np.random.default_rng(2).permutation(levels)
    wide, narrow = (tally([x], len(levels)).row("model").interval for x in (together, shuffled))
    assert wide is not None and narrow is not None
    assert wide[1] - wide[0] > 8 * (narrow[1] - narrow[0])


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    held = 0
    for seed in range(200):
        interval = tally([normal(50_000, seed)], 50_000).row("model").interval
        assert interval is not None
        held += interval[0] < 2.0 < interval[1]
    assert 178 <= held <= 198  # 95 % of 200, and what chance and 50 blocks may do


def test_one_character_has_no_interval():
    assert tally([np.ones(1)], 1).row("model").interval is None
    assert Tally(3).characters == 0


def rows(*nats):
    return tuple(Row(name=f"row {i}", nats_per_char=x) for i, x in enumerate(nats))


def test_units():
    result = Evaluation(model=Row(name="model", nats_per_char=2 * np.log(2)), characters=3)
    assert result.bits_per_char == pytest.approx(2) and result.perplexity == pytest.approx(4)


def test_what_is_shown():
    model = Row(name="model", nats_per_char=1.5, interval=(1.25, 1.75))
    about = {"characters": 4321, "split": "last-10%", "part": "valid"}
    result = Evaluation(model=model, baselines=rows(2.0, 1.6), remarks=("so it is",), **about)
    first, head, *table, remark = result.lines()
    assert first == (
        "1.5000 nats, 2.1640 bits per character, perplexity 4.482 (valid part of last-10%, "
        "4,321 characters)"
    )
    assert head.split("  ")[0] == "per character" and remark == "note: so it is"
    assert [line.split()[0] for line in table] == ["model", "row", "row"]
    assert table[0].split()[1:] == ["1.5000", "2.1640", "4.482", "1.2500", "to", "1.7500"]
    assert len({line.index(x) for line, x in zip(table, ("1.5", "2.0", "1.6"), strict=True)}) == 1
    plain = json.loads(json.dumps(result.table()))
    assert plain["interval"] == [1.25, 1.75] and plain["split"] == "last-10%"
    assert [row["name"] for row in plain["baselines"]] == ["row 0", "row 1"]
    assert Evaluation(model=rows(1.5)[0], **about).lines() == [first]


def test_a_model_that_is_no_better_than_counting_is_told_so():
    for nats, warned in ((1.59, False), (1.61, True)):
        [model] = rows(nats)
        result = Evaluation(model=model, baselines=rows(2.0, 1.6), characters=9)
        assert bool(result.warnings()) == warned == bool(result.table()["warnings"])
        last = result.lines()[-1]
        assert last.startswith("warning: a baseline beats the model (row 1)") == warned
