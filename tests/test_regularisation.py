"""Regularisation by rule: which rates it chooses, when, and that a run holds them as numbers."""

import dataclasses
import tomllib

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from charrnn_core import RunConfig, resume, train
from charrnn_core.cell import as_cell
from charrnn_core.devices import operations_per_second, processor_lines
from charrnn_core.errors import OptionError
from charrnn_core.network.context import Context
from charrnn_core.network.network import Network
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.training import regularisation
from charrnn_core.training.batches import Streams, Subsequences
from charrnn_core.training.policy import Budget
from charrnn_core.training.regularisation import Exposure, by_rule, exposure_of
from charrnn_core.training.setup import prepare
from tests.resuming import quiet

RATES = ("dropout_output", "dropout_context", "dropout_rare")
IDS = np.arange(1001, dtype=np.int32) % 7
SPEED = 3e10

exposures = st.builds(
    Exposure,
    parameters=st.integers(100, 10**8),
    rows=st.integers(0, 10**7),
    characters=st.integers(100, 10**9),
    passes=st.floats(1e-6, 1e6),
)


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:8", batch=4, window=8, characters=3000,
        observers="jsonl", sample_length=5, shards=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def network():
    return Network(Registry.installed().build_cell(Ref("elman", "5"), as_cell), 7, 6)


@given(exposures, st.floats(1.0, 100.0))
def test_more_passes_never_drop_less(exposure, times):
    some = by_rule(exposure)
    more = by_rule(dataclasses.replace(exposure, passes=exposure.passes * times))
    assert set(some) == set(RATES) and all(0 <= some[k] <= more[k] for k in RATES)
    assert max(more["dropout_output"], more["dropout_context"]) < 1


@given(exposures)
def test_nothing_is_dropped_of_a_text_that_is_read_once(exposure):
    once = dataclasses.replace(exposure, passes=min(1.0, exposure.passes))
    assert set(by_rule(once).values()) == {0.0}


def test_a_short_training_drops_less_than_a_long_one_of_as_many_passes():
    short = Exposure(parameters=50_000, rows=20_480, characters=50_000, passes=20.0)
    long = dataclasses.replace(short, parameters=5_000_000, characters=5_000_000)
    less, more = by_rule(short), by_rule(long)
    assert all(4 * less[k] <= more[k] > 0 for k in RATES)


def test_the_speed_of_a_machine_follows_from_its_kind(tmp_path):
    (tmp_path / "cpuinfo").write_text("model name : one\nflags : fpu avx2 avx512f\n")
    lines = processor_lines(tmp_path / "cpuinfo")
    assert lines[0] == "model name : one" and processor_lines(tmp_path / "missing") == []
    wide, narrow, none = (operations_per_second("cpu", some) for some in (lines, lines[:1], []))
    assert operations_per_second("gpu") > wide > narrow == none > 0


@given(exposures)
def test_without_rows_none_are_dropped(exposure):
    rates = by_rule(dataclasses.replace(exposure, rows=0))
    assert rates["dropout_context"] == rates["dropout_rare"] == 0


def test_a_text_that_is_read_often_has_much_dropped():
    often = by_rule(Exposure(parameters=400_000, rows=16_384, characters=10**5, passes=100.0))
    assert min(often.values()) >= 0.3


@pytest.mark.parametrize(("passes", "repeated"), [(1.0, False), (1.99, False), (2.0, True)])
def test_rows_have_owners_where_a_text_is_read_twice(passes, repeated):
    assert Exposure(1000, 64, 1000, passes).is_repeated == repeated


def test_passes_are_those_of_the_budget(network):
    budget = Budget(steps=50, started=3.0)
    streams = Streams(IDS, 4, 10)  # 1000 characters to predict, in 25 updates
    assert exposure_of(network, streams, budget, SPEED).passes == pytest.approx(2 * 1000 / 1001)
    stretches = Subsequences(IDS, stretch=100, window=10, seed=0)
    assert exposure_of(network, stretches, budget, SPEED).passes == pytest.approx(500 / 1001)


def test_minutes_become_passes_by_the_network_alone(network):
    def seconds(network, seconds, steps=None):
        budget = Budget(steps, started=3.0, deadline=3.0 + seconds, clock=lambda: 1e9)
        return exposure_of(network, Streams(IDS, 4, 10), budget, SPEED)

    few = seconds(network, 60)
    assert few.passes == pytest.approx(SPEED / (6 * few.parameters + 5e5) * 60 / 1001)
    wide = Network(Registry.installed().build_cell(Ref("elman", "500"), as_cell), 7, 6)
    assert seconds(wide, 60).passes < few.passes / 2
    assert seconds(network, 60, steps=50).passes == pytest.approx(2 * 1000 / 1001)


def test_rows_are_not_counted_among_the_parameters(network):
    batching, budget = Streams(IDS, 4, 10), Budget(steps=50, started=0.0)
    more = dataclasses.replace(network, context=Context(3, 4))
    without, with_rows = (exposure_of(each, batching, budget, SPEED) for each in (network, more))
    assert with_rows == dataclasses.replace(without, rows=2 * 2**4)


def test_a_run_holds_numbers_and_says_how_it_came_to_them(config, tmp_path, monkeypatch):
    monkeypatch.setattr(regularisation, "_CHARACTERS_OF_HALF", 1000)
    lines = []
    often = dataclasses.replace(config, characters=20_000)
    trained = train(often, out=tmp_path / "run", note=lines.append)
    setup = prepare(often.resolve())
    [told] = [line for line in setup.notes if "(auto: " in line]
    saved = tomllib.loads((tmp_path / "run/config.toml").read_text())
    for name in RATES:
        rate = getattr(setup.config, name)
        assert rate > 0 and f"{name} is {rate:g}" in told
        assert saved[name] == trained.model.config.table()[name] == rate
    dropouts = setup.trainer.network.dropouts
    used = dropouts.output, dropouts.context, dropouts.rare
    assert used == tuple(saved[name] for name in RATES)


def test_a_number_is_kept_without_a_word(config):
    given = dataclasses.replace(config, dropout_output=0.0, dropout_context=0.125, dropout_rare=0.5)
    setup = prepare(dataclasses.replace(given, characters=20_000).resolve())
    assert (setup.config.dropout_output, setup.config.dropout_context) == (0.0, 0.125)
    assert not any("auto" in note for note in setup.notes)


def test_the_notebook_drops_nothing(config):
    values = {"recipe": "notebook", "source": str(config.source.argument), "cell": "elman:8"}
    setup = prepare(RunConfig.read({**values, "stretch": 50}).resolve())
    assert (setup.config.dropout_output, setup.config.dropout_context) == (0.0, 0.0)
    assert not any("auto" in note for note in setup.notes)


@pytest.mark.slow
def test_a_resumed_run_keeps_its_rates(config, tmp_path, monkeypatch):
    monkeypatch.setattr(regularisation, "_CHARACTERS_OF_HALF", 1000)
    train(dataclasses.replace(config, characters=8000), out=tmp_path / "a", note=quiet)
    before = tomllib.loads((tmp_path / "a/config.toml").read_text())
    resume(tmp_path / "a", budget={"characters": 40_000}, note=quiet)
    after = tomllib.loads((tmp_path / "a/config.toml").read_text())
    assert before["characters"] != after["characters"]
    assert all(before[name] == after[name] > 0 for name in RATES)


@pytest.mark.slow
def test_a_run_from_before_there_was_a_context_goes_on_without(config, tmp_path):
    old = dataclasses.replace(config, context=0, counts=0, dropout_output=0.2)
    train(old, out=tmp_path / "run", note=quiet)
    file = tmp_path / "run/config.toml"
    new = {"context =", "context_bits =", "dropout_context =", "dropout_rare ="}
    kept = [line for line in file.read_text().splitlines() if not any(map(line.startswith, new))]
    file.write_text("\n".join(kept))
    resume(tmp_path / "run", budget={"characters": 4000}, note=quiet)
    _, checkpoint = open_checkpoint(tmp_path / "run", quiet)
    assert checkpoint.table["config"]["context"] == 0


@pytest.mark.parametrize(("rate", "expected"), [("1.0", "< 1"), ("often", "float or 'auto'")])
def test_other_words_are_refused(rate, expected):
    with pytest.raises(OptionError, match=expected):
        RunConfig.read({"dropout_output": rate})


@pytest.mark.slow
def test_the_command(charrnn, text_file, tmp_path, monkeypatch):
    monkeypatch.setattr(regularisation, "_CHARACTERS_OF_HALF", 1000)
    options = ("--cell", "elman:8", "--chars", 20_000, "--shards", 1, "--patience", 0)
    done = charrnn(
        "run", "--source", text_file, *options, "--dropout-output", "0.125",
        "--dropout-context", "auto", "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note: dropout_context is 0." in done.stderr and "dropout_output is" not in done.stderr
    saved = tomllib.loads((tmp_path / "run/config.toml").read_text())
    assert saved["dropout_output"] == 0.125 and 0 < saved["dropout_context"] < 1


def test_minutes_are_worth_what_the_devices_can_do(config, monkeypatch):
    def passes(operations, shards):
        name = "charrnn_core.training.setup.operations_per_second"
        monkeypatch.setattr(name, lambda platform: operations)
        run = dataclasses.replace(config, characters=None, minutes=1.0, shards=shards)
        [told] = [note for note in prepare(run.resolve()).notes if "(auto: " in note]
        return float(told.split()[-2])

    once = passes(1e8, 1)
    assert passes(2e8, 1) == pytest.approx(2 * once, rel=0.02)
    assert passes(1e8, 2) == pytest.approx(2 * once, rel=0.02)
