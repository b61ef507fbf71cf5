"""Every example in a docstring runs, and every public name has a docstring."""

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


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    with jax.numpy_rank_promotion("allow"):
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for attribute, value in vars(module).items():
        mine = getattr(value, "__module__", None) == name and not attribute.startswith("_")
        hook = attribute.startswith("charrnn_")
        if mine and not hook and (inspect.isfunction(value) or inspect.isclass(value)):
            assert inspect.getdoc(value), f"{name}.{attribute}"


def test_the_public_surface_is_exact():
    import charrnn_core

    assert list(charrnn_core.__all__) == sorted(charrnn_core.__all__)
    for name in charrnn_core.__all__:
        assert getattr(charrnn_core, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = charrnn_core.nothing
