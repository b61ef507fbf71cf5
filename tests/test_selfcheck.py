"""The check that users and authors run: it passes what is pure, and catches what is not."""

import types

import optax
import pytest
from charrnn_check.resume import check_resume

from charrnn_core import OptimizerPlugin, RunConfig, hookimpl
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref


@pytest.fixture
def config(text_file):
    return RunConfig(source=str(text_file), cell="elman:4", batch=4, window=8)


@pytest.mark.parametrize("command", [["check", "resume"], ["run", "--self-check-resume"]])
def test_the_command_says_what_it_compared(charrnn, text_file, tmp_path, command):
    done = charrnn(*command, "--cell", "elman:4", "--source", text_file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("resume is exact: 12 updates in one go, and with a stop after 5")
    assert "arrays" in done.stdout and not (tmp_path / "runs").exists()


def test_an_optimizer_that_remembers_outside_its_state_is_caught(config):
    made = []

    def forgetful(options, total_steps):
        made.append(1)
        return optax.sgd(0.01 * len(made))

    module = types.ModuleType("forgetful")
    module.charrnn_optimizers = hookimpl(
        lambda: [OptimizerPlugin(name="forgetful", target=forgetful)]
    )
    registry = Registry.installed()
    registry.add(lambda: module, "forgetful")
    from dataclasses import replace

    verdict = check_resume(replace(config, optimizer=Ref("forgetful")), registry=registry)
    assert not verdict.exact
    first, *others = verdict.lines()
    assert "resume is NOT exact" in first and "outside its state" in first
    assert any("params/" in line and "differs by up to" in line for line in others)
