"""What must be instant imports nothing heavy. Modules are counted, not milliseconds."""

import json
import subprocess
import sys

import pytest

HEAVY = {"jax", "jaxlib", "flax", "optax", "numpy", "rich", "urllib3", "msgpack", "asyncio"}
INSTANT = [
    "--help", "--version", "plugins", "plugins show source gutenberg",
    "plugins show sampler temperature", "run --help", "sample --help", "novelty --help",
    "eval --help", "score --help", "bench --help", "install --help", "uninstall --help",
    "new-plugin --help", "info --help", "check --help", "resume --help", "report --help",
    "doctor --help", "export --help", "inspect --help", "card --help",
]  # fmt: skip
PROGRAM = """
import contextlib, io, json, sys

heavy, found = set(json.loads(sys.argv[1])), {}

def note(what):
    found[what] = sorted(heavy & {name.partition(".")[0] for name in sys.modules})

from charrnn_core import CellPlugin, hookimpl, opt
note("the core")
from charrnn.cli import main
for command in json.loads(sys.argv[2]):
    sys.argv = ["charrnn", *command.split()]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
    note(command)

sys.argv = ["charrnn", "run", "--cell", "elmann"]
with contextlib.suppress(SystemExit):
    main()
note("a wrong name")

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
    note(" ".join(arguments))

from charrnn_core import train
note("training")
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Which heavy modules one process has after each of these, in this order."""
    given = [json.dumps(sorted(HEAVY)), json.dumps(INSTANT)]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", INSTANT)
def test_commands_that_must_be_instant(imported, command):
    assert imported[command] == []


def test_importing_the_core_and_its_light_names(imported):
    assert imported["the core"] == []
    assert "jax" in imported["training"]


def test_a_wrong_name_is_told_before_jax_is_imported(imported):
    assert "jax" not in imported["a wrong name"]


def test_a_wrong_run_is_told_before_jax_is_imported(imported):
    """By every command that takes one; and so is a component that is not there."""
    wrong = [command for command in imported if "nope" in command]
    assert len(wrong) >= 11 and not [command for command in wrong if "jax" in imported[command]]


READING = """
import sys
import charrnn_core

model = charrnn_core.load(sys.argv[1])
charrnn_core.generate(model, length=1)
next(charrnn_core.score(model, source="file:" + sys.argv[2], split="all", note=print), None)
trains = [name for name in sys.modules if name.startswith(("optax", "charrnn_core.training."))]
assert not trains, trains
"""


def test_reading_a_model_imports_nothing_that_trains(begun, text_file):
    subprocess.run([sys.executable, "-c", READING, begun, text_file], check=True, timeout=120)
