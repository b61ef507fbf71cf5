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


def test_a_wrong_run_is_told_before_jax_is_imported():
    """By every command that takes one; and so is a component that is not there."""
    statement = """
    from click.testing import CliRunner
    from charrnn.cli import cli
    import click
    ctx, asked = click.Context(cli), []
    for name in cli.list_commands(ctx):
        more = {"novelty": ["--text", "x"]}.get(name, [])
        arguments = [p for p in cli.get_command(ctx, name).params if isinstance(p, click.Argument)]
        if arguments and arguments[0].name == "run":
            asked.append([name, "nope", *more])
    assert len(asked) >= 6, asked
    asked += [["check", "cell", "nope"], ["check", "nope", "elman"], ["bench", "--out", "nope"]]
    asked += [["plugins", "show", "cell", "nope"], ["run", "--init-from", "nope"]]
    for arguments in asked:
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code and "nope" in result.stderr, (arguments, result.output)
        assert "jax" not in sys.modules, arguments
    """
    assert "jax" not in modules_after(statement.strip())
