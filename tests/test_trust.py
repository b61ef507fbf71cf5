"""Loading a file that a stranger made runs no code and takes bounded memory."""

import ast
import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_core.files.checkpoint import save_checkpoint
from tests.crashes import ROOT
from tests.fuzz import targets
from tests.fuzz.nasty import nasty
from tests.make_golden import TABLE, arrays, golden

SOURCES = sorted((ROOT / "charrnn_core").rglob("*.py"))
FORBIDDEN_MODULES = {
    "pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml",
    "jsonpickle", "code", "codeop", "runpy", "ctypes",
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "import_module", "execfile"}
IMPORTERS = {
    "charrnn_core/__init__.py",
    "charrnn_core/api.py",
    "charrnn_core/jobs/parallel.py",
    "charrnn_core/moved.py",
    "charrnn_core/registry/plugin.py",
    "charrnn_core/registry/registry.py",
    "charrnn_core/testing/kits.py",
}
"""Modules that import by name: the package's own, the plugins that are installed, dask and ray."""

ALLOWED_MODULES = {"charrnn_core/jobs/parallel.py": {"joblib"}}
"""It talks to workers that it has started; it reads no file."""


def untrusted(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.untrusted", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


class Sentinel:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_loading_runs_nothing(tmp_path):
    sentinel = tmp_path / "sentinel"
    evil = pickle.dumps(Sentinel(sentinel))
    files = [golden(), tmp_path / "evil.crn", tmp_path / "raw.crn", tmp_path / "behind.crn"]
    table = {**TABLE, "bytes": evil, "cell": "os:system", "__class__": "os.system", "use": "!!x"}
    save_checkpoint(files[1], table, {**arrays(), "../../evil": arrays()["bfloat16"]})
    files[2].write_bytes(evil)
    files[3].write_bytes(b"CRNN\1\0" + evil + hashlib.sha256(b"CRNN\1\0" + evil).digest())
    for number, (_, data) in enumerate(nasty("checkpoint")):
        files.append(tmp_path / f"{number}.crn")
        files[-1].write_bytes(targets.enveloped(data))
    done = untrusted("watched", *files)
    # The watcher lets the process end when it does something on purpose, at last.
    assert done.returncode == 77 and done.stderr.startswith(("exec", "compile")), done.stderr
    assert int(done.stdout.split()[0]) in range(2, len(files) // 2) and not sentinel.exists()
    pickle.loads(evil)
    assert sentinel.exists()


def test_memory_is_bounded():
    done = untrusted("bounded")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 50


def calls(tree: ast.AST) -> set[str]:
    """What is called by a bare name, or as an attribute of a module of that name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        if isinstance(node, ast.Attribute) and node.attr in {"import_module", "__import__"}:
            found.add(node.attr)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.add("eval")
    return found


def imports(tree: ast.AST) -> set[str]:
    """The top-level packages that are imported anywhere."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_can_turn_data_into_code(path):
    tree = ast.parse(path.read_text())
    name = path.relative_to(ROOT).as_posix()
    assert not imports(tree) & (FORBIDDEN_MODULES - ALLOWED_MODULES.get(name, set()))
    allowed = {"import_module"} if name in IMPORTERS else set()
    assert not calls(tree) & (FORBIDDEN_CALLS - allowed)


def test_the_checks_of_the_source_can_fail():
    assert calls(ast.parse("eval('1'); importlib.import_module(x); np.load(f, allow_pickle=True)"))
    assert calls(ast.parse("jax.eval_shape(f); re.compile(x)")) == set()
    assert imports(ast.parse("def f():\n from pickle import loads")) & FORBIDDEN_MODULES
