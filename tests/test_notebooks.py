"""In a notebook: what a result looks like, one output that is updated, and the example."""

import ast
import builtins
import importlib
import json
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from charrnn_progress.notebook import NotebookProgress, in_notebook
from charrnn_progress.observer import ProgressObserver, progress

from charrnn_core import RunConfig, evaluate, train
from charrnn_core.events import Incident, Sampled
from tests.conftest import ROOT, SHARED
from tests.resuming import quiet

NOTEBOOK = ROOT / "examples/santa.ipynb"


class Display:
    """IPython's display, which remembers what it was given."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []
        self.updates: list[dict[str, str]] = []

    def __call__(self, content: Any, *, raw: bool, display_id: bool) -> "Display":
        assert raw and display_id
        self.shown.append(content)
        return self

    def update(self, content: Any, *, raw: bool) -> None:
        assert raw
        self.updates.append(content)


@pytest.fixture
def display(monkeypatch) -> Display:
    """This process is the kernel of a notebook."""
    ipython, module, made = ModuleType("IPython"), ModuleType("IPython.display"), Display()
    ipython.get_ipython = lambda: SimpleNamespace(kernel=1)  # type: ignore[attr-defined]
    module.display = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return made


def well_formed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{html}</div>")


@pytest.fixture
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=8, characters=3000, context=0,
        counts=0, sample_length=10, shards=1,
    )  # fmt: skip


def test_training_has_one_output_which_is_updated(display, config, tmp_path, capsys):
    trained = train(config, out=tmp_path / "run", note=quiet)
    assert len(display.shown) == 1 and len(display.updates) >= 10
    assert capsys.readouterr().out == ""
    for content in (*display.shown, *display.updates):
        well_formed(content["text/html"])
    last = display.updates[-1]
    assert last["text/html"].count("<polyline") == 2 and "finished after" in last["text/html"]
    assert "100%" in last["text/plain"] and "held-out" in last["text/plain"]
    assert f"update {trained.updates:,}, held-out" in last["text/html"]


def test_results_have_a_look(config, tmp_path):
    trained = train(config, out=tmp_path / "run", note=quiet)
    for thing in (trained, trained.model, trained.held_out, evaluate(trained.model)):
        well_formed(thing._repr_html_())
    for thing in (trained, trained.model):
        assert thing._repr_html_().count("<polyline") == 2
    assert re.fullmatch(
        r"<Trained .*run: elman:4 with [\d,]+ parameters, finished, [\d,]+ updates, "
        r"held-out \d\.\d{4} nats, \d\.\d{4} bits per character>",
        repr(trained),
    )
    assert re.fullmatch(
        r"<Model elman:4: [\d,]+ parameters, \d+ symbols, from update .*, held-out \d\.\d+ nats>",
        repr(trained.model),
    )
    assert "n-gram, order 6" in trained.held_out._repr_html_()
    assert "charrnn" in trained._repr_html_() and "elman:4" in trained.model._repr_html_()
    stopped = train(config, out=tmp_path / "stopped", note=quiet, stop=lambda: True)
    well_formed(stopped._repr_html_())
    assert "interrupted, " in repr(stopped)


def test_what_a_model_writes_is_no_markup(display):
    observer = NotebookProgress()
    observer.on_sample(Sampled(step=1, epoch=0.1, prompt="<i>", text="</pre><script>\x1b[31m"))
    observer.on_incident(
        Incident(
            step=1, epoch=0.1, positions=(0,), nats_per_char=1.0, gradient_norms={}, action="<b>"
        )
    )
    observer.on_sample(Sampled(step=2, epoch=0.1, prompt="", text=""))
    for content in (*display.shown, *display.updates):
        well_formed(content["text/html"])
        assert "<script" not in content["text/html"] and "\x1b" not in content["text/html"]


def test_elsewhere_progress_is_a_bar_or_lines(monkeypatch):
    assert not in_notebook() and isinstance(progress(None), ProgressObserver)
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]  # a terminal
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert isinstance(progress(None), ProgressObserver)
    ipython.get_ipython = lambda: None  # type: ignore[attr-defined]  # imported by a program
    assert isinstance(progress(None), ProgressObserver)


# The example.


def code_cells() -> list[str]:
    table = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in table["cells"] if cell["cell_type"] == "code"]
    assert cells and all(not cell["outputs"] and not cell["execution_count"] for cell in cells)
    return ["".join(cell["source"]) for cell in cells]


def test_the_example_uses_only_what_there_is():
    known = set(dir(builtins)) | {"__file__"}
    for source in code_cells():
        magic, _, rest = source.partition("\n")
        is_file = magic.startswith("%%writefile ")
        names = set(dir(builtins)) if is_file else known
        tree = ast.parse(rest if is_file else source)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), source
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= {(alias.asname or alias.name) for alias in node.names}
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.FunctionDef):
                names |= {argument.arg for argument in node.args.args}
            if isinstance(node, ast.ExceptHandler) and node.name:
                names.add(node.name)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert used <= names, used - names


def test_the_cell_of_the_example_is_ten_lines():
    [source] = [source for source in code_cells() if source.startswith("%%writefile")]
    author = source.partition("class ")[2].partition("@hookimpl")[0].splitlines()
    assert len([line for line in author if line.strip()]) <= 10


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.read(NOTEBOOK, as_version=4)
    mirror = {"CHARRNN_GUTENBERG_MIRROR": str(SHARED / "gutenberg")}
    env = mirror if (SHARED / "gutenberg").is_dir() else {"CHARRNN_OFFLINE": "1"}
    for name, value in {**env, "CHARRNN_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=240, resources=where).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    text = json.dumps(outputs)
    assert "bits per character with the state handed on" in text and "n-gram, order 6" in text
    [training] = [cell for cell in book.cells if cell.source.startswith("config = RunConfig")]
    shown = [output for output in training.outputs if output.output_type == "display_data"]
    assert len(shown) == 1 and "<svg" in shown[0].data["text/html"]
