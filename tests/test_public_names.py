"""What users import: names that say `charrnn_core`, and import paths of before."""

import importlib
import importlib.util
import inspect
import pickle
import subprocess
import sys
import typing

import pytest

import charrnn_core
from charrnn_core.moved import _IN_ROOMS, moved

NAMES = [
    name
    for name in charrnn_core.__all__
    if inspect.isclass(getattr(charrnn_core, name))
    or inspect.isfunction(getattr(charrnn_core, name))
]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_charrnn_core(name):
    value = getattr(charrnn_core, name)
    assert value.__module__ == "charrnn_core"
    assert pickle.loads(pickle.dumps(value)) is value
    assert inspect.getdoc(value)
    typing.get_type_hints(value)
    if not (inspect.isclass(value) and issubclass(value, Exception)):
        assert inspect.signature(value)


def test_it_says_so_wherever_it_was_imported_from():
    code = "from charrnn_core.runs.config import RunConfig; print(RunConfig)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<class 'charrnn_core.RunConfig'>\n"


def test_an_object_is_pickled():
    corpus = charrnn_core.Corpus(text="ho", name="ho", origin="here")
    assert pickle.loads(pickle.dumps(corpus)) == corpus
    assert b"charrnn_core.text" not in pickle.dumps(corpus)


@pytest.mark.parametrize("old", moved())
def test_a_module_that_moved_is_refused_with_its_new_name(old):
    with pytest.raises(ModuleNotFoundError, match=f"^{old} is now {moved()[old]}$"):
        importlib.import_module(old)
    assert importlib.util.find_spec(moved()[old])


@pytest.mark.parametrize(
    "statement", ["from charrnn_core import batches", "from charrnn_core.batches import Batch"]
)
def test_every_way_to_import_it_tells(statement):
    with pytest.raises(ImportError, match="is now charrnn_core.training.batches"):
        exec(statement)


@pytest.mark.parametrize("statement", ["import charrnn_core.none", "from charrnn_core import none"])
def test_what_never_was_is_not_there(statement):
    with pytest.raises(ImportError) as raised:
        exec(statement)
    assert "is now" not in str(raised.value)


@pytest.mark.parametrize("room", _IN_ROOMS)
def test_a_room_called_like_an_old_module_has_its_names(room):
    for module, names in _IN_ROOMS[room].items():
        for name in names.split():
            here = getattr(importlib.import_module(room), name)
            assert here is getattr(importlib.import_module(f"{room}.{module}"), name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module(room).nothing  # noqa: B018  # the access is the test


def test_a_room_is_light_until_a_name_is_asked_for():
    code = "import sys, charrnn_core.sampling, charrnn_core.network; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
