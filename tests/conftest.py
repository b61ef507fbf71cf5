"""What all tests share: a strict JAX, the registry, the real command line, the shared texts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# The same small programs are compiled again and again, also by the commands that tests start.
_COMPILED = tempfile.TemporaryDirectory(prefix="charrnn-tests-xla-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Some of the commands are killed while they write such a program down; others then make it anew.
os.environ["PYTHONWARNINGS"] = "ignore:Error reading persistent compilation cache entry"

import hypothesis  # noqa: E402  # jax reads the environment when it is imported
import jax  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile("default", deadline=None, max_examples=60)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def registry():
    from charrnn_core.registry import Registry

    return Registry.installed()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The local mirror with book 520, or skip."""
    if not (SHARED / "gutenberg").is_dir():
        pytest.skip("../shared/gutenberg is absent")
    return SHARED / "gutenberg"


@pytest.fixture
def charrnn(tmp_path):
    """Run the real command: ``charrnn("run", "--cell", "elman")``."""

    def call(*arguments: object, env: dict[str, str] | None = None, stdin: str | None = None):
        return subprocess.run(
            [sys.executable, "-m", "charrnn_core", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            input=stdin,
            timeout=120,
            env={**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache"), **(env or {})},
        )

    return call


@pytest.fixture(scope="session")
def small_text() -> str:
    """A few thousand characters with structure, made here."""
    names = ("Ann", "Bob", "Cyd", "Dee")
    verbs = ("sees", "hears", "likes", "finds")
    lines = [
        f"{names[i % 4]} {verbs[i * i % 4]} {names[(i + i // 4 + 1) % 4]} and {i * 7 % 100}.\n"
        for i in range(200)
    ]
    return "".join(lines)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory, small_text) -> Path:
    path = tmp_path_factory.mktemp("text") / "small.txt"
    path.write_text(small_text)
    return path
