"""Specs, tables and option values, right and wrong."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import (
    CharRNNError,
    OptionError,
    PluginError,
    SpecError,
    UnknownNameError,
)
from charrnn_core.registry.descriptors import CellPlugin
from charrnn_core.registry.options import (
    CellRef,
    check_options_type,
    opt,
    option_values,
    read_options,
)
from charrnn_core.registry.spec import Ref, parse_refs
from charrnn_core.runs.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    count: int = opt(3, help="how many", ge=1, le=9)
    share: float = opt(0.5, help="how much", gt=0, lt=1)
    loud: bool = opt(False, help="whether")
    mode: Literal["fast", "slow"] = opt("fast", help="which")
    limit: int | None = opt(None, help="at most")
    sizes: tuple[int, ...] = opt((1, 2), help="widths")
    layers: tuple[CellRef, ...] = opt((), help="cells")


@pytest.mark.parametrize(
    "text, expected",
    [
        ({"count": "4"}, {"count": 4}),
        ({"share": "0.25"}, {"share": 0.25}),
        ({"share": 1 / 3}, {"share": 1 / 3}),
        ({"loud": "yes"}, {"loud": True}),
        ({"loud": False}, {"loud": False}),
        ({"mode": "slow"}, {"mode": "slow"}),
        ({"limit": "7"}, {"limit": 7}),
        ({"limit": "none"}, {"limit": None}),
        ({"sizes": "4,5"}, {"sizes": (4, 5)}),
        ({"sizes": [6]}, {"sizes": (6,)}),
        ({"layers": "elman:8*2"}, {"layers": (Ref("elman", "8"), Ref("elman", "8"))}),
        ({"layers": [{"use": "elman"}]}, {"layers": (Ref("elman"),)}),
    ],
)
def test_values_are_read_by_their_annotation(text, expected):
    assert option_values(read_options(Options, text)) == option_values(Options()) | expected


@pytest.mark.parametrize(
    "values, error, message",
    [
        ({"count": "big"}, OptionError, "option 'count' of it is 'big'; expected int"),
        ({"count": "0"}, OptionError, "option 'count' of it is 0; expected a value >= 1"),
        ({"count": True}, OptionError, "expected int"),
        ({"count": 10}, OptionError, "expected a value <= 9"),
        ({"share": 0}, OptionError, "expected a value > 0"),
        ({"share": "nan"}, OptionError, "expected float"),
        ({"loud": "maybe"}, OptionError, "expected bool"),
        ({"mode": "idle"}, OptionError, "expected 'fast' or 'slow'"),
        ({"limit": "x"}, OptionError, "expected int or none"),
        ({"sizes": "a,b"}, OptionError, "expected list of ints"),
        ({"layers": "Elman"}, SpecError, "'Elman' is not the name of a component"),
        ({"cuont": 1}, UnknownNameError, "no option of it named 'cuont' .did you mean 'count'"),
    ],
)
def test_wrong_values_say_what_was_expected(values, error, message):
    with pytest.raises(error, match=message):
        read_options(Options, values, "it")


def test_an_option_without_default_must_be_given():
    needs = dataclasses.make_dataclass(
        "needs", [("layers", str, opt(help="the cells"))], frozen=True, kw_only=True
    )
    with pytest.raises(OptionError, match="it needs the option 'layers': the cells"):
        read_options(needs, {}, "it")


@dataclass
class Mutable:
    count: int = 1


@pytest.mark.parametrize("bad", [Mutable, int])
def test_options_are_frozen_keyword_only_dataclasses(bad):
    with pytest.raises(OptionError, match="expected a class decorated with @dataclass"):
        check_options_type(bad)


@pytest.mark.parametrize(
    "text, use, argument",
    [
        ("elman", "elman", None),
        ("elman:256", "elman", "256"),
        ("file:/a:b.txt", "file", "/a:b.txt"),
        ("gutenberg:", "gutenberg", ""),
        ("charrnn-lru/lru:8", "charrnn-lru/lru", "8"),
        ("stacked:lstm:256,lstm:256", "stacked", "lstm:256,lstm:256"),
    ],
)
def test_a_spec_splits_at_the_first_colon(text, use, argument):
    assert Ref.parse(text) == Ref(use, argument)


@pytest.mark.parametrize("bad", ["", ":256", "Elman", "C:\\x", "../x", "a", 3, {"name": "elman"}])
def test_malformed_specs(bad):
    with pytest.raises(SpecError):
        Ref.parse(bad)


@pytest.mark.parametrize("bad", ["elman*0", "elman*65", "elman,", "", ["E"]])
def test_malformed_lists(bad):
    with pytest.raises(SpecError):
        parse_refs(bad)


@given(st.text())
def test_any_text_is_a_spec_or_an_error_of_ours(text):
    try:
        ref = Ref.parse(text)
    except CharRNNError:
        return
    assert Ref.parse(ref.table()) == ref


def test_tables_and_specs_meet():
    ref = Ref.parse({"use": "stacked", "layers": ["elman:8", {"use": "elman", "features": 4}]})
    assert ref.table()["layers"] == ["elman:8", {"use": "elman", "features": 4}]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"name": "E"}, "'E' cannot name a cell"),
        ({"options": Mutable}, "cannot hold options"),
        ({"argument": "width"}, "argument 'width' is not one of its options: count"),
        ({"api": 99}, "needs plugin API 99; this charrnn has 1"),
    ],
)
def test_descriptors_check_themselves(fields, message):
    with pytest.raises(CharRNNError, match=message):
        CellPlugin(**{"name": "cell", "target": "a:b", "options": Options, **fields})


@pytest.mark.parametrize("target", ["nowhere", "nowhere:X", "json:nothing"])
def test_bad_targets(target):
    with pytest.raises(PluginError, match="cell 'cell'"):
        CellPlugin(name="cell", target=target).load()


def test_a_resolved_configuration_is_a_fixed_point(registry):
    config = RunConfig(cell="stacked:elman:8*2", sampler="temperature:0.5").resolve(registry)
    assert RunConfig.read(config.table()).resolve(registry) == config == config.resolve(registry)
    assert config.table()["cell"]["layers"][1]["activation"] == "tanh"
    assert config.characters == 5_000_000


@pytest.mark.parametrize(
    "wrong", [{"epochs": -1}, {"batch": "x"}, {"prompt": 3}, {"seed": 2**33}, {"minutes": "inf"}]
)
def test_a_configuration_checks_itself(wrong):
    with pytest.raises(OptionError, match=f"option {[*wrong][0]!r} of the run"):
        RunConfig(**wrong)


def test_a_budget_replaces_those_below_it():
    config = RunConfig.read({"recipe": "notebook", "minutes": 2})
    assert (config.epochs, config.minutes) == (None, 2.0)


def test_recipes_come_before_what_is_given():
    config = RunConfig.read({"recipe": "notebook", "batch": 2})
    assert (config.batch, config.window, config.stretch) == (2, 64, 5000)
    assert config.optimizer.options["learning_rate"] == 1e-3
    with pytest.raises(UnknownNameError, match="did you mean 'notebook'"):
        RunConfig.read({"recipe": "notebok"})
