"""What users of other programs type, and what every command takes."""

import json

import click
import pytest
from charrnn.cli import Commands, _equipped, cli
from click.testing import CliRunner

from charrnn_core.errors import UnknownNameError
from charrnn_core.registry.habits import _HABITS
from charrnn_core.runs.config import RunConfig
from charrnn_core.testing import Outcome
from tests.test_local_files import FILE


def said(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [*map(str, arguments)], prog_name="charrnn")
    assert result.exit_code == 2, result.output
    return result.output.splitlines()[-1]


@pytest.mark.parametrize(
    "command, option, instead",
    [
        ("run", "--hidden", "--cell lstm:512"),
        ("run", "--hidden-size=512", "--cell lstm:512"),
        ("run", "--layers", "--cell 'stacked:lstm:256*2'"),
        ("run", "--rnn-size", "--cell lstm:512"),
        ("run", "--model", "--cell lstm"),
        ("run", "--seq-length", "--window 64"),
        ("run", "--batch-size", "--batch 32"),
        ("run", "--learning-rate", "--lr 0.004"),
        ("run", "--dropout", "--dropout-output 0.2"),
        ("run", "--data", "--source FILE"),
        ("run", "--temperature", "--sampler temperature:0.7"),
        ("run", "--grad-clip", "--optimizer-opt clip=1.0"),
        ("sample", "--temperature", "--sampler temperature:0.7"),
        ("sample", "--n-chars", "--length 500"),
        ("sample", "--primetext", "--prompt 'The '"),
        ("bench", "--minutes", "--budget 10m"),
    ],
)
def test_an_option_of_another_program_names_ours(command, option, instead):
    line = said(command, option, "512")
    assert line.startswith("Error: No such option") and line.endswith(f"; here it is {instead}")


def test_an_option_that_nobody_knows_keeps_the_nearest():
    assert "here it is" not in said("run", "--seeed", 3) and "--seed" in said("run", "--seeed", 3)
    assert "here it is" not in said("info", "--hidden", 3)


@pytest.mark.parametrize(
    "name, instead",
    [
        ("chars", "characters = 5000000"),
        ("params", "parameters = 1000000"),
        ("lr", 'optimizer = {use = "adam", learning_rate = 0.004}'),
        ("hidden", 'cell = "lstm:512"'),
        ("temperature", 'sampler = "temperature:0.7"'),
    ],
)
def test_a_setting_of_another_program_names_ours(name, instead):
    with pytest.raises(UnknownNameError) as refused:
        RunConfig.read({name: 3})
    assert f"named {name!r} (here it is {instead}); available: " in str(refused.value)
    assert "did you mean" not in str(refused.value)


def test_an_option_of_a_component_too():
    with pytest.raises(UnknownNameError, match="here it is features = 512"):
        RunConfig(cell={"use": "lstm", "hidden_size": 3}).resolve()


def test_each_habit_has_one_meaning_and_every_answer_is_there():
    names = [name for names, _ in _HABITS for name in names.split()]
    assert len(names) == len(set(names))
    ours = {name.strip("-").replace("-", "_") for name in _options(cli, click.Context(cli))}
    ours |= {"features", "learning_rate", "clip", "dropout", "weight_decay", "temperature"}
    assert {key for _, answers in _HABITS for key in answers} <= ours


def _options(group, ctx):
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield from (option for param in command.params for option in param.opts)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_PLUGINS", "")  # which the command adds to
    (tmp_path / "mine.py").write_text(FILE.replace("mine", "mymine"))
    return tmp_path / "mine.py"


def test_a_plugin_of_one_file_can_be_shown(file):
    arguments = ["plugins", "show", "cell", "mymine", "--json", "--plugin", str(file)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["distribution"] == "mine.py"


def test_every_command_below_a_group_takes_plugins(file):
    """Also one that a third party's group makes when it is asked for."""

    class Late(click.Group):
        def get_command(self, ctx, cmd_name):
            return click.Command("leaf", callback=lambda: click.echo("here"))

    outer = _equipped(click.Context(cli), click.Group("outer", {"late": Late("late")}))
    result = CliRunner().invoke(outer, ["late", "leaf", "--plugin", str(file)])
    assert result.output == "here\n", result.output

    def visit(command, path):
        assert any(param.name == "plugin" for param in command.params), path
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            for name in command.list_commands(ctx):
                visit(command.get_command(ctx, name), (*path, name))

    assert isinstance(cli, Commands)
    for name in cli.list_commands(click.Context(cli)):
        visit(cli.get_command(click.Context(cli), name), (name,))


def test_what_does_not_apply_is_counted_apart_and_the_clock_is_that_of_the_wall(monkeypatch):
    outcomes = [Outcome(name, "", "passed", "", 1.0) for name in "ab"]
    outcomes.append(Outcome("c", "", "skipped", "it has none", 0.0))
    monkeypatch.setattr("charrnn_core.testing.check", lambda *a, **k: iter(outcomes))
    clock = iter((100.0, 203.0))
    monkeypatch.setattr("charrnn_check.command.time.monotonic", lambda: next(clock))
    result = CliRunner().invoke(cli, ["check", "loss", "crossentropy"])
    assert result.output.splitlines()[-1] == "2 checks passed, 1 does not apply, in 103 s"


def test_what_fails_is_counted_among_those_that_apply():
    from charrnn_check.command import verdict

    outcomes = [Outcome("a", "", "passed", "", 0), Outcome("b", "", "failed", "", 0)]
    outcomes += [Outcome(name, "", "skipped", "", 0) for name in "cd"]
    assert verdict(outcomes, 3.4) == "1 of 2 checks failed, 2 do not apply, in 3 s: b"
