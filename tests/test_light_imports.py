"""What must be instant imports nothing heavy. Modules are counted, not milliseconds."""

import subprocess
import sys

import pytest

HEAVY = {"jax", "jaxlib", "flax", "optax", "numpy", "rich", "urllib3", "msgpack", "asyncio"}
PROGRAM = """
import sys
sys.argv[0] = "charrnn"
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    {statement}
print(" ".join(sorted(set(name.partition(".")[0] for name in sys.modules))))
"""


def modules_after(statement: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement), *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        "--help", "--version", "plugins", "plugins show source gutenberg",
        "plugins show sampler temperature", "run --help", "sample --help", "novelty --help",
        "eval --help", "score --help",
    ],
)  # fmt: skip
def test_commands_that_must_be_instant(arguments):
    statement = "from charrnn.cli import main; main()"
    assert not HEAVY & modules_after(statement, *arguments.split())


def test_importing_the_core_and_its_light_names():
    assert not HEAVY & modules_after("from charrnn_core import CellPlugin, hookimpl, opt")
    assert "jax" in modules_after("from charrnn_core import train")


def test_a_wrong_name_is_told_before_jax_is_imported():
    statement = "from charrnn.cli import main; main()"
    assert "jax" not in modules_after(statement, "run", "--cell", "elmann")
