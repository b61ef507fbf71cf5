"""Every example in a docstring runs, and every public name has a docstring."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
    for base in (ROOT, *(ROOT / "plugins").glob("[a-z]*"))
    for path in base.glob("charrnn_*/**/*.py")
    if path.stem != "__main__"
)


def is_defined_in(module, value) -> bool:
    """Whether a class or function stands in a module's file, whatever it says of its module."""
    if inspect.isfunction(value):
        return value.__globals__ is vars(module)
    if not inspect.isclass(value):
        return False
    if value.__module__ != "charrnn_core":
        return value.__module__ == module.__name__
    tree = ast.parse(inspect.getsource(module))
    return any(isinstance(n, ast.ClassDef) and n.name == value.__name__ for n in tree.body)


class Finder(doctest.DocTestFinder):
    """Finds the examples of public names, which say `charrnn_core`, where they are defined."""

    def _from_module(self, module, object):
        if getattr(object, "__module__", None) == "charrnn_core":
            return is_defined_in(module, object)
        return super()._from_module(module, object)


def examples(module) -> list[doctest.DocTest]:
    return Finder().find(module, module.__name__)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with jax.numpy_rank_promotion("allow"):
        for example in examples(importlib.import_module(name)):
            runner.run(example)
    assert runner.failures == 0


def test_the_examples_of_public_names_are_found():
    """Once, in the module that defines the name."""
    found = [test.name for name in MODULES for test in examples(importlib.import_module(name))]
    for name in ("runs.config.RunConfig", "runs.config.RunConfig.read", "registry.options.opt"):
        assert found.count(f"charrnn_core.{name}") == 1
    assert not any(test.startswith("charrnn_core.RunConfig") for test in found)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for attribute, value in vars(module).items():
        mine = is_defined_in(module, value) and not attribute.startswith("_")
        hook = attribute.startswith("charrnn_")
        if mine and not hook:
            assert inspect.getdoc(value), f"{name}.{attribute}"


def test_the_public_surface_is_exact():
    import charrnn_core

    assert list(charrnn_core.__all__) == sorted(charrnn_core.__all__)
    for name in charrnn_core.__all__:
        assert getattr(charrnn_core, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = charrnn_core.nothing
