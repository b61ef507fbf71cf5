"""Finding plugins, and what happens when they break, collide or are misspelt."""

import types

import pytest

from charrnn_core import CellPlugin, LossPlugin, hookimpl
from charrnn_core.errors import (
    AmbiguousNameError,
    OptionError,
    PluginError,
    UnknownNameError,
)
from charrnn_core.listing import describe_plugin, list_plugins
from charrnn_core.registry import Registry
from charrnn_core.spec import Ref


def module(**hooks):
    """A plugin module with these hook implementations."""
    made = types.ModuleType("a_plugin")
    for name, function in hooks.items():
        setattr(made, name, hookimpl(function))
    return made


def cells(*names, **fields):
    return module(
        charrnn_cells=lambda: [CellPlugin(name=n, target="json:loads", **fields) for n in names]
    )


def make(**plugins) -> Registry:
    """A registry of ``distribution=module`` pairs."""
    registry = Registry()
    for distribution, plugin in plugins.items():
        registry.add(lambda plugin=plugin: plugin, "entry", distribution, "1.2.0")
    return registry


def broken():
    raise RuntimeError("no such luck")


def test_builtins_come_through_entry_points(registry):
    assert {"elman", "stacked"} <= set(registry.names("cell"))
    assert {"gutenberg", "file", "python-docs"} <= set(registry.names("source"))
    assert not [fault for fault in registry.faults if fault.distribution == "charrnn"]


@pytest.mark.parametrize("name", ["elman", "charrnn"])
def test_plugins_can_be_disabled(name):
    assert "elman" not in Registry.installed({"CHARRNN_DISABLE_PLUGINS": name}).names("cell")


def test_unknown_names_list_the_nearest(registry):
    with pytest.raises(UnknownNameError, match="no cell named 'elmann' .did you mean 'elman'"):
        registry.find("cell", "elmann")


def test_without_any_plugin_the_error_says_so():
    with pytest.raises(UnknownNameError, match="run 'pip install .' in the checkout"):
        Registry().find("cell", "elman")


def test_two_providers_are_an_error_only_on_use():
    registry = make(one=cells("elman", "only"), two=cells("elman"))
    assert registry.find("cell", "only").distribution == "one"
    with pytest.raises(AmbiguousNameError, match="one 1.2.0 and two 1.2.0; choose one: one/elman"):
        registry.find("cell", "elman")
    assert registry.find("cell", "two/elman").distribution == "two"
    mine = registry.preferring([{"kind": "cell", "name": "elman", "distribution": "Two"}])
    assert mine.find("cell", "elman").distribution == "two"
    status = {row["distribution"]: row["status"] for row in list_plugins(registry)}
    assert "ambiguous" in status["two"]


@pytest.mark.parametrize(
    "plugin, reason",
    [
        (module(charrnn_cells=broken), "RuntimeError: no such luck"),
        (
            module(charrnn_cell=lambda: []),
            "no hook named 'charrnn_cell' .did you mean 'charrnn_cells'",
        ),
        (
            module(charrnn_cells=lambda: [LossPlugin(name="ce", target="a:b")]),
            "expected a CellPlugin",
        ),
        (module(charrnn_cells=lambda: ["elman"]), "expected a CellPlugin"),
        (cells("ok", api=99), "needs plugin API 99"),
    ],
)
def test_a_broken_plugin_is_recorded_and_harms_nobody(plugin, reason):
    registry = make(bad=plugin, good=cells("elman"))
    assert registry.find("cell", "elman").distribution == "good"
    [fault] = registry.faults
    assert fault.distribution == "bad"
    with pytest.raises(UnknownNameError, match=f"of bad 1.2.0 failed to load: .*{reason}"):
        registry.find("cell", "lru")
    assert any(row["status"].startswith("failed: ") for row in list_plugins(registry))


def test_a_plugin_that_fails_on_import_or_exits():
    registry = Registry()
    registry.add(broken, "one", "dist")
    registry.add(lambda: exit(3), "two", "dist")
    assert [fault.entry_point for fault in registry.faults] == ["one", "two"]
    strict = Registry(strict=True)
    with pytest.raises(RuntimeError, match="no such luck"):
        strict.add(broken, "one", "dist")


def test_resolving_fills_in_everything(registry):
    resolved = registry.resolve("cell", Ref.parse("stacked:elman:8,stacked:elman:4"))
    first, second = resolved.options["layers"]
    assert first.options == {"features": 8, "activation": "tanh", "recurrent_init": "orthogonal"}
    assert second.options["layers"][0].options["features"] == 4


@pytest.mark.parametrize(
    "spec, error, message",
    [
        ({"use": "elman:8", "features": 9}, OptionError, "features is given twice"),
        (
            {"use": "elman", "hidden": 9},
            UnknownNameError,
            "no option of cell 'elman' named 'hidden'",
        ),
        ("stacked", OptionError, "cell 'stacked' needs the option 'layers'"),
        ("stacked:elman:0", OptionError, "option 'features' of cell 'elman' is 0"),
        ("stacked:" * 20 + "elman", OptionError, "nested more than 8 deep"),
        ("stacked:elmann", UnknownNameError, "no cell named 'elmann'"),
    ],
)
def test_resolving_refuses_what_does_not_fit(registry, spec, error, message):
    with pytest.raises(error, match=message):
        registry.resolve("cell", Ref.parse(spec))


def test_an_argument_nobody_takes(registry):
    with pytest.raises(OptionError, match="loss 'crossentropy' takes no argument; got '3'"):
        registry.resolve("loss", Ref.parse("crossentropy:3"))


def test_records_name_nested_plugins(registry):
    records = registry.records("cell", registry.resolve("cell", Ref.parse("stacked:elman:8*2")))
    assert [record["name"] for record in records] == ["stacked", "elman"]
    for record in records:
        registry.require(record)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "lru", "distribution": "charrnn-lru"}, "pip install 'charrnn-lru==0.1.0'"),
        ({"state_version": 7}, "with state version 7; installed is 0.1.0 with state version 1"),
    ],
)
def test_a_remembered_plugin_must_be_here(registry, change, message):
    with pytest.raises(PluginError, match=message):
        registry.require(registry.find("cell", "elman").record() | change)


def test_a_remembered_plugin_that_is_broken_now():
    registry = make(bad=module(charrnn_cells=broken))
    record = {
        "kind": "cell",
        "name": "x1",
        "distribution": "bad",
        "version": "1",
        "state_version": 1,
    }
    with pytest.raises(PluginError, match="no such luck"):
        registry.require(record)


def test_a_target_that_cannot_be_imported_names_its_distribution():
    registry = make(lost=module(charrnn_cells=lambda: [CellPlugin(name="gone", target="no:where")]))
    with pytest.raises(PluginError, match="No module named 'no'; it comes from lost 1.2.0"):
        registry.load("cell", Ref("gone"))


def test_descriptions_show_options(registry):
    table = describe_plugin("cell", "elman", registry)
    assert table["spec"] == "elman:FEATURES"
    features = table["options"][0]
    assert features == {
        "name": "features", "type": "int", "default": 256, "bounds": ">= 1",
        "help": "width of the hidden state (H)",
    }  # fmt: skip
    with pytest.raises(UnknownNameError, match="did you mean 'cell'"):
        describe_plugin("cel", "elman", registry)
