"""What is installed is what should be: wheel, sdist and editable installs."""

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = set(CONFIG["tool"]["setuptools"]["packages"])


def test_every_package_is_listed():
    found = {"charrnn"}
    for base in (ROOT, *(ROOT / "plugins").glob("[a-z]*")):
        for init in base.glob("charrnn_*/**/__init__.py"):
            found.add(".".join(init.parent.relative_to(base).parts))
    assert PACKAGES == found


def test_the_root_has_only_cli_py():
    assert [path.name for path in ROOT.glob("*.py")] == ["cli.py"]


def test_every_plugin_has_an_entry_point():
    groups = CONFIG["project"]["entry-points"].values()
    entries = [entry.partition(".")[0] for group in groups for entry in group.values()]
    inits = (ROOT / "plugins").glob("*/*/__init__.py")
    assert set(entries) == {path.parent.name for path in inits}


def test_the_changelog_knows_the_version():
    version = CONFIG["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of what git tracks, so that no build leaves anything in the checkout."""
    copy = tmp_path_factory.mktemp("build") / "checkout"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


def build(checkout: Path, kind: str, out: Path) -> Path:
    """Build with the backend itself: no network and no isolated environment."""
    program = f"import setuptools.build_meta as b; print(b.build_{kind}({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory) -> Path:
    return build(checkout, "wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    whole = {package for package in PACKAGES if "." not in package}
    assert tops == whole | {f"charrnn-{CONFIG['project']['version']}.dist-info"}
    assert [name for name in names if name.startswith("charrnn/")] == ["charrnn/cli.py"]
    for base in (ROOT / "charrnn_core", *(ROOT / "plugins").glob("*/charrnn_*")):
        for path in base.rglob("*.py"):
            assert path.relative_to(base.parent).as_posix() in names
    assert "charrnn_core/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_has_the_tests_and_builds_the_same_wheel(checkout, wheel, tmp_path):
    sdist = build(checkout, "sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert (unpacked / "tests" / "conftest.py").exists()
    assert not list(unpacked.glob("**/shared"))
    (tmp_path / "again").mkdir()
    again = build(unpacked, "wheel", tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("editable", [False, True])
def test_an_installation_works_and_leaks_no_names(checkout, wheel, tmp_path, editable):
    """Installed into an environment of its own, on top of the libraries of this one."""
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    site = next((tmp_path / "env" / "lib").glob("*/site-packages"))
    what = ["-e", str(checkout)] if editable else [str(wheel)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps",
         "--no-index", "--no-build-isolation", *what],
        capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(libraries)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    # Libraries come last, so that nothing of an installation of charrnn among them is found first.
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    program = """
import importlib.util
for name in ("plugins", "cli", "tests", "examples", "benchmarks"):
    spec = importlib.util.find_spec(name)
    assert spec is None or "site-packages" not in str(spec.origin), (name, spec)
import charrnn.cli, charrnn_core
print(charrnn_core.__file__)
"""
    done = subprocess.run([python, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    home = checkout if editable else site
    assert done.stdout.strip() == str(home / "charrnn_core" / "__init__.py")
    charrnn = tmp_path / "env" / "bin" / "charrnn"
    listing = subprocess.run([charrnn, "plugins"], cwd=tmp_path, capture_output=True, text=True)
    assert listing.returncode == 0 and "elman" in listing.stdout, listing.stderr
