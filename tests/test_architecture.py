"""Who imports whom, read from the source: the design's arrows, and nothing else."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "charrnn_core"

LAYERS = [
    {"errors", "habits"},
    {"recognition", "regular", "blame"},
    {"decoding"},
    {"alphabet"},
    {"spec", "events", "terminal", "stdout", "program", "plain"},
    {"signals", "devices", "mesh", "course"},
    {"options", "layout", "stdio", "typed", "diagnosis"},
    {"plugin", "loopstate"},
    {"manifest", "hookspecs", "storage", "corpus", "evaluation", "download", "addresses"},
    {"mapped", "split", "unknown", "suffixes", "provider", "localfile", "downloaded", "kept"},
    {"encoding", "baselines", "entrypoints", "offers"},
    {
        "registry",
        "randomness",
        "schedules",
        "recipes",
        "noise",
        "equations",
        "rows",
        "checkpoint",
        "incidents",
        "soundness",
    },
    {
        "cell",
        "listing",
        "batches",
        "products",
        "rowwise",
        "trace",
        "leaves",
        "run",
        "recovery",
        "metrics",
        "fallback",
    },
    {"naming"},
    {"gates", "stages", "directory", "calling", "making"},
    {"plan", "opening", "audience"},
    {"table", "loop", "settings"},
    {"before", "stepper", "affine"},
    {"unroll"},
    {"network"},
    {"scoring", "sampling", "explain"},
    {"model", "sources", "training", "dynamic", "writing"},
    {"sizing"},
    {"experiment", "session", "training_text"},
    {"record", "assessment", "trained"},
    {"sitting"},
    {"launch"},
    {"selfcheck", "api"},
    {"__init__", "__main__"},
    {"testing.kit", "testing.subject", "testing.compiling", "testing.auditing", "testing.trees"},
    {"testing.registration", "testing.demands", "testing.cell_subject"},
    {
        "testing.cells",
        "testing.cell_learning",
        "testing.performance",
        "testing.losses",
        "testing.observers",
        "testing.optimizers",
        "testing.samplers",
        "testing.sources",
    },
    {"testing.kits"},
    {"testing.parametrize"},
    {"testing.__init__"},
]
ONLY_IN = {
    "pluggy": {"hookspecs", "offers"},
    "msgpack": {"checkpoint"},
    "click": set(),
    "rich": set(),
    "urllib3": {"download", "addresses"},
}


def imported(path: Path) -> set[str]:
    """Every module a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def core_modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def name_of(path: Path) -> str:
    """How `LAYERS` call a core module: ``"errors"``, ``"testing.kit"``."""
    return ".".join(path.relative_to(CORE).with_suffix("").parts)


def test_every_core_module_has_a_layer():
    assert {name_of(path) for path in core_modules()} == set().union(*LAYERS)


@pytest.mark.parametrize("path", core_modules(), ids=name_of)
def test_core_modules_import_lower_layers_only(path):
    level = next(i for i, layer in enumerate(LAYERS) if name_of(path) in layer)
    lower, modules = set().union(*LAYERS[:level]), set().union(*LAYERS)
    for name in imported(path):
        package, _, module = name.partition(".")
        if package == "charrnn_core" and module in modules:
            assert module in lower, f"{path.stem} imports {module}"
        if path.stem != "__main__":
            assert (
                package != "charrnn"
                and not package.startswith("charrnn_")
                or (package == "charrnn_core")
            ), f"{path.stem} imports {name}"
        if package in ONLY_IN:
            assert path.stem in ONLY_IN[package], f"{path.stem} imports {package}"


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "plugins").glob("*/*.py")),
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_plugins_know_the_core_alone(path):
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package.startswith("charrnn"):
            assert package in ("charrnn_core", path.parent.name), f"{path} imports {name}"
        assert not name.startswith("charrnn_core.registry.registry")
        assert package != "click" or path.stem == "command"


def test_registration_modules_are_light():
    for path in (ROOT / "plugins").glob("*/__init__.py"):
        assert {name.partition(".")[0] for name in imported(path)} <= {
            "dataclasses", "typing", "charrnn_core",
        }, path  # fmt: skip


def prints(node: ast.AST) -> bool:
    """Whether a part of a program writes to a standard stream itself, or lets rich do so."""
    if isinstance(node, ast.Attribute):
        writes = r"click\.\w*echo\w*|.*sys\.std(out|err)\.(buffer|write|writelines)"
        return bool(re.fullmatch(writes, ast.unparse(node)))
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    file = next((ast.unparse(k.value) for k in node.keywords if k.arg == "file"), "")
    return called == "print" or called == "Console" and not file.startswith("outlet(")


@pytest.mark.parametrize(
    "code, found",
    [
        ("print(1)", True),
        ("click.echo('a')", True),
        ("sys.stdout.buffer.write(b'a')", True),
        ("Console(stderr=True)", True),
        ("Console(file=outlet(err=True)).print(1)", False),
        ("say('a')", False),
    ],
)
def test_what_prints_is_recognised(code, found):
    assert any(map(prints, ast.walk(ast.parse(code)))) == found


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in [*core_modules(), *sorted((ROOT / "plugins").glob("*/*.py")), ROOT / "cli.py"]
        if path != CORE / "terminal.py"
    ],
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_text_leaves_through_one_module(path):
    """What is printed elsewhere is neither escaped nor survives a terminal that went away."""
    found = [ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if prints(node)]
    assert not found, f"{path}: use say, say_json, emit or outlet of charrnn_core.terminal"


def test_files_are_read_in_one_sitting():
    for path in [*core_modules(), *(ROOT / "plugins").glob("*/*.py"), ROOT / "cli.py"]:
        assert len(path.read_text().splitlines()) <= 320, path
