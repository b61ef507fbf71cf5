"""Hooks are called as pluggy calls them: order, wrappers of both styles, and who is blamed."""

import dataclasses
import types

import pytest

from charrnn_core import CellPlugin, hookimpl
from charrnn_core.registry.provider import Origin
from charrnn_core.registry.registry import Registry


def cell(name, **more):
    return CellPlugin(name=name, target="json:loads", **more)


def module(function, mark=hookimpl):
    """A plugin's module with this implementation of ``charrnn_cells``."""
    made = types.ModuleType("a_plugin")
    made.charrnn_cells = mark(function)
    return made


def offering(*names, mark=hookimpl):
    return module(lambda: [cell(name) for name in names], mark)


def registered(*modules) -> Registry:
    """A registry of modules, taken in one after the other as their position says."""
    registry = Registry()
    for number, plugin in enumerate(modules):
        registry.add(lambda plugin=plugin: plugin, f"entry{number}", f"dist{number}", "1.0")
    return registry


def together(*modules) -> Registry:
    """A registry of modules that are all there before the first is asked."""
    registry = Registry()
    for number, plugin in enumerate(modules):
        origin = Origin(f"dist{number}", "1.0", f"entry{number}")
        registry._import(lambda plugin=plugin: plugin, origin)
    registry._ask()
    return registry


def offers(registry):
    return [(p.plugin.name, p.distribution) for p in registry.providers]


def faults(registry):
    return [(fault.distribution, fault.error) for fault in registry.faults]


def louder(cells):
    return [dataclasses.replace(cell, summary=cell.summary.upper() + "!") for cell in cells]


def new_style():
    answers = yield
    return [louder(cells) for cells in answers]


def old_style():
    outcome = yield
    outcome.force_result([louder(cells) for cells in outcome.get_result()])


WRAPPERS = {
    "wrapper": module(new_style, hookimpl(wrapper=True)),
    "hookwrapper": module(old_style, hookimpl(hookwrapper=True)),
}


@pytest.mark.parametrize("style", WRAPPERS)
def test_a_wrapper_changes_what_every_other_plugin_offers(style):
    made = together(
        module(lambda: [cell("one", summary="first")]),
        WRAPPERS[style],
        module(lambda: [cell("two", summary="second")]),
    )
    assert offers(made) == [("one", "dist0"), ("two", "dist2")]  # each remains its plugin's
    assert [p.plugin.summary for p in made.providers] == ["FIRST!", "SECOND!"]
    assert not made.faults


def test_a_wrapper_may_hide_what_a_plugin_offers():
    def without_toys():
        return [[c for c in cells if not c.name.startswith("toy")] for cells in (yield)]

    hiding = module(without_toys, hookimpl(wrapper=True))
    made = together(offering("toy-a", "real"), offering("toy-b"), hiding)
    assert offers(made) == [("real", "dist0")] and not made.faults


def test_tryfirst_and_trylast_order_what_is_offered():
    made = together(
        offering("last", mark=hookimpl(trylast=True)),
        offering("one"),
        offering("two"),
        offering("first", mark=hookimpl(tryfirst=True)),
    )
    assert [name for name, _ in offers(made)] == ["first", "one", "two", "last"]


def test_a_hook_may_have_another_name():
    plugin = types.ModuleType("a_plugin")
    plugin.mine = hookimpl(lambda: [cell("mine")], specname="charrnn_cells")
    assert offers(registered(plugin)) == [("mine", "dist0")]


def breaks_at_once():
    raise RuntimeError("broken before")
    yield


def breaks_afterwards():
    yield
    raise RuntimeError("broken after")


def never_yields():
    return []
    yield


def yields_twice():
    yield
    yield


def gives_no_list():
    yield


def gives_no_cells():
    yield
    return [["elman"]]


def empties_what_it_is_given():
    for cells in (yield):
        cells.clear()
    raise RuntimeError("broken after")


def leaves():
    yield
    raise SystemExit(3)


BROKEN = {
    breaks_at_once: "RuntimeError: broken before",
    breaks_afterwards: "RuntimeError: broken after",
    never_yields: "PluginError: charrnn_cells is a wrapper but did not yield",
    yields_twice: "PluginError: charrnn_cells is a wrapper but yields more than once",
    gives_no_list: "PluginError: charrnn_cells is a wrapper but returned None; expected the list",
    gives_no_cells: "PluginError: charrnn_cells yielded 'elman'; expected CellPlugin",
    empties_what_it_is_given: "RuntimeError: broken after",
    leaves: "SystemExit: 3",
}


@pytest.mark.parametrize("wrapper", BROKEN, ids=lambda wrapper: wrapper.__name__)
def test_a_wrapper_that_breaks_is_blamed_once_and_changes_nothing(wrapper):
    made = together(
        offering("one"),
        module(wrapper, hookimpl(wrapper=True)),
        offering("two"),
        WRAPPERS["wrapper"],
    )
    assert offers(made) == [("one", "dist0"), ("two", "dist2")]
    assert [p.plugin.summary for p in made.providers] == ["!", "!"]  # the other wrapper works
    [(culprit, error)] = faults(made)
    assert culprit == "dist1" and error.startswith(BROKEN[wrapper])


def test_an_old_wrapper_that_breaks_is_blamed_too():
    made = together(offering("one"), module(breaks_afterwards, hookimpl(hookwrapper=True)))
    assert offers(made) == [("one", "dist0")]
    assert faults(made) == [("dist1", "RuntimeError: broken after")]


def test_what_a_hook_yields_before_it_breaks_goes_through_the_wrappers():
    def half():
        yield cell("one")
        raise RuntimeError("no more")

    made = together(module(half), WRAPPERS["wrapper"])
    assert [p.plugin.summary for p in made.providers] == ["!"]
    assert faults(made) == [("dist0", "RuntimeError: no more")]


def test_a_wrapper_is_called_around_what_is_added_later():
    made = registered(offering("before"), WRAPPERS["wrapper"], offering("after"))
    assert [p.plugin.summary for p in made.providers] == ["", "!"]


def test_a_wrapper_that_breaks_on_what_is_added_later_is_blamed():
    made = registered(module(breaks_afterwards, hookimpl(wrapper=True)), offering("after"))
    assert offers(made) == [("after", "dist1")]
    assert faults(made) == [("dist0", "RuntimeError: broken after")]
