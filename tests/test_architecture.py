"""Who imports whom, read from the source: the design's arrows, and nothing else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "charrnn_core"

LAYERS = [
    {"errors", "habits"},
    {"recognition"},
    {"decoding"},
    {"alphabet"},
    {"spec", "events", "terminal", "stdout", "program", "plain"},
    {"signals", "devices", "mesh", "loopstate", "course"},
    {"options", "layout", "diagnosis"},
    {"plugin"},
    {"hookspecs", "storage", "corpus", "evaluation", "download", "addresses"},
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
        "audience",
        "recovery",
        "metrics",
    },
    {"naming"},
    {"gates", "stages", "directory"},
    {"plan", "opening"},
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
        assert not name.startswith("charrnn_core.registry")
        assert package != "click" or path.stem == "command"


def test_registration_modules_are_light():
    for path in (ROOT / "plugins").glob("*/__init__.py"):
        assert {name.partition(".")[0] for name in imported(path)} <= {
            "dataclasses", "typing", "charrnn_core",
        }, path  # fmt: skip


def test_files_are_read_in_one_sitting():
    for path in [*core_modules(), *(ROOT / "plugins").glob("*/*.py"), ROOT / "cli.py"]:
        assert len(path.read_text().splitlines()) <= 320, path
