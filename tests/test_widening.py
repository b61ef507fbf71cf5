"""The width of a cell by rule: when a run is given it, what it becomes, and that it stays."""

import dataclasses
import tomllib

import pytest

from charrnn_core import RunConfig, resume, train
from charrnn_core.registry.width import states_width, widths
from charrnn_core.runs.rates import AUTO
from charrnn_core.training import widening
from charrnn_core.training.setup import prepare
from charrnn_core.training.widening import widened
from tests.resuming import quiet

LONG, LONGER = 6_000_000, 30_000_000


def resolved(registry, **settings):
    return RunConfig(**settings).resolve(registry)


@pytest.mark.parametrize(
    "cell, settings",
    [
        ("lstm:256", {}),
        ("stacked:gru:64*2", {}),
        ("stacked:gru,lstm:8", {}),
        ({"use": "gru", "features": "7"}, {}),
        ({"use": "stacked", "layers": [{"use": "gru", "features": 7}]}, {}),
        ("lstm", {"parameters": 100_000}),
        ("lstm", {"init_from": "runs/of-that-width"}),
    ],
)
def test_a_width_that_is_given_stays(registry, cell, settings):
    config = resolved(registry, cell=cell, **settings)
    assert config.parameters == settings.get("parameters")
    assert widened(config, LONGER, []).cell == config.cell


@pytest.mark.parametrize("cell", ["lstm", "elman", "stacked:lstm,gru", "stacked:mogrifier*2"])
def test_a_long_run_has_a_wider_cell(registry, cell):
    config, notes = resolved(registry, cell=cell), []
    assert config.parameters == AUTO and not states_width(cell)
    for characters, times in ((LONG - 1, 1), (LONG, 1.5), (LONGER, 2)):
        notes.clear()
        wide = widened(config, characters, notes)
        assert widths(wide.cell) == [times * width for width in widths(config.cell)]
        assert wide.parameters is None and bool(notes) == (times > 1)
    assert notes[0].startswith("features is 512") and "256 (auto: about 30 M char" in notes[0]


def test_a_given_width_is_widened_if_that_is_asked_for(registry):
    config = resolved(registry, cell="stacked:gru:10,lstm:20", parameters="auto")
    assert widths(widened(config, LONG, []).cell) == [15, 30]


def test_the_default_run_is_not_a_long_one(registry, text_file):
    setup = prepare(resolved(registry, source=str(text_file)))
    assert widths(setup.config.cell) == [256] and setup.config.parameters is None


@pytest.mark.slow
def test_a_run_and_its_resumption_have_one_width(text_file, tmp_path, monkeypatch):
    monkeypatch.setattr(widening, "_WIDER", ((2000, 2.0),))
    config = RunConfig(
        source=str(text_file), cell="elman", batch=4, window=8, observers=(), shards=1,
        characters=1000, sample_length=5, context=0, counts=0,
    )  # fmt: skip
    lines = []
    long = dataclasses.replace(config, characters=3000)
    train(config, out=tmp_path / "short", note=quiet)
    train(long, out=tmp_path / "long", note=lines.append)
    before, after = (
        tomllib.loads((tmp_path / name / "config.toml").read_text()) for name in ("short", "long")
    )
    assert after["cell"]["features"] == 2 * before["cell"]["features"]
    assert any("features is" in line for line in lines)
    for name in ("short", "long"):
        lines.clear()
        model = resume(tmp_path / name, budget={"characters": 6000}, note=lines.append).model
        features = {"short": before, "long": after}[name]["cell"]["features"]
        assert model.config.cell.options["features"] == features
        assert not any("features" in line for line in lines)
