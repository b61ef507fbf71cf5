"""An unroll engine that jax has broken costs speed, a word, and never a training."""

import json
import warnings

import click.testing
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charrnn.cli import cli

from charrnn_core.cell import as_cell
from charrnn_core.engine import affine, equations, loop, stepper, unroll
from charrnn_core.errors import EngineError, EngineWarning
from charrnn_core.network.explain import explain, explain_cell, summary
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref

V, H, B, T = 6, 5, 3, 4
FAULTS = [AttributeError("'Var' has no 'aval'"), TypeError("bind"), IndexError("7"),
          AssertionError(), KeyError("jaxpr")]  # fmt: skip


def failing(error):
    def fail(*arguments, **more):
        raise error

    return fail


def ids(seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).integers(V, size=(T, B)), jnp.int32)


def network_of(mode: str = "auto") -> Network:
    return Network(as_cell(nn.GRUCell(H)), V, unroll_mode=mode)


def logits_of(network: Network) -> jax.Array:
    params = network.init(jax.random.key(0))
    return network.unroll(params, network.initial_carry(params, B), ids())[0]


WHERE = ["trace", "make_plan", "_run_stage", "cut_into_stages", "InputValues"]


@pytest.mark.parametrize("error, where", list(zip(FAULTS, WHERE, strict=True)), ids=str)
def test_a_plain_scan_takes_over_with_one_warning(monkeypatch, error, where):
    monkeypatch.setattr(unroll, where, failing(error))
    with pytest.warns(EngineWarning, match=type(error).__name__) as seen:
        found = logits_of(network_of())
    assert len(seen) == 1 and "a plain scan, which is slower, takes over" in str(seen[0].message)
    np.testing.assert_array_equal(found, logits_of(network_of("scan")))


@pytest.mark.parametrize("mode", ["engine", "parallel"])
def test_an_engine_that_was_asked_for_raises(monkeypatch, mode):
    monkeypatch.setattr(unroll, "make_plan", failing(FAULTS[0]))
    with pytest.raises(EngineError, match="AttributeError: .*; use --unroll auto or") as raised:
        logits_of(network_of(mode))
    assert raised.value.__cause__ is FAULTS[0]
    with pytest.raises(EngineError):
        network_of(mode).choose(B, T)


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(),
                                   jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED")])  # fmt: skip
def test_what_is_the_machines_passes(monkeypatch, error):
    monkeypatch.setattr(unroll, "make_plan", failing(error))
    with pytest.raises(type(error)):
        logits_of(network_of())


def test_a_step_at_fault_is_not_taken_for_the_engine():
    def step(p, h, x):
        return jnp.tanh(h @ p + x.nothing), h

    arguments = (step, jnp.eye(H), jnp.ones((B, H)), jnp.ones((T, B, H)))
    for mode in ("auto", "engine", "scan"):
        with warnings.catch_warnings(), pytest.raises(AttributeError, match="nothing"):
            warnings.simplefilter("error")
            unroll.unroll(*arguments, mode=mode)


def test_the_parallel_scan(monkeypatch):
    def step(a, h, x):
        return (a * h + x @ jnp.eye(H), h)

    arguments = (step, jnp.full((B, H), 0.5), jnp.ones((B, H)), jnp.ones((T, B, H)))
    expected = unroll.unroll(*arguments, mode="scan")[1]
    monkeypatch.setattr(affine, "recurrence", failing(IndexError("axis")))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.warns(EngineWarning, match="IndexError: axis"):
        np.testing.assert_allclose(unroll.unroll(*arguments)[1], expected, rtol=1e-6)


@pytest.mark.parametrize("where", ["trace", "make_plan", "run_body", "Table"])
def test_one_step_after_the_other(monkeypatch, where):
    network = network_of()
    params = network.init(jax.random.key(0))
    carry = network.initial_carry(params, B)
    expected, _ = network.step(params, carry, ids()[0])
    monkeypatch.setattr(stepper, where, failing(TypeError("of the table")))
    with pytest.warns(EngineWarning, match="TypeError: of the table"):
        found, _ = network.stepper(params, carry, B)(carry, ids()[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_backward_pass_that_fails_is_found_before_the_training(monkeypatch):
    """`unroll` has done its part when the gradient is made, so it cannot help there."""
    monkeypatch.setattr(loop, "_pull_step", failing(AssertionError("residuals")))
    network, choice = network_of().settled(B, T)
    assert choice.failed and network.unroll_mode == "scan"
    assert summary(explain(choice)) == (
        "scan (the unroll engine failed on the step: AssertionError: residuals)"
    )
    params = network.init(jax.random.key(0))
    carry = network.initial_carry(params, B)
    grads = jax.grad(lambda p: network.unroll(p, carry, ids())[0].sum())(params)
    assert jnp.isfinite(jax.tree.leaves(grads)[0]).all()


def test_a_step_without_a_gradient_is_no_fault_of_the_engine():
    def step(p, h, x):
        return jax.lax.while_loop(lambda h: h.sum() > 3, lambda h: h / 2, h @ p + x), h

    assert unroll.choose(step, jnp.eye(H), jnp.ones((B, H)), jnp.ones((T, B, H))).engine


def test_plugins_show_says_it(monkeypatch, registry):
    monkeypatch.setattr(equations.Equation, "__call__", failing(AttributeError("ctx")))
    told = explain_cell(Ref.parse("elman:4"), registry)
    assert not told["engine"] and "failed on the step: AttributeError: ctx" in told["why"]


def test_a_loop_that_cannot_be_described_costs_the_description_alone(monkeypatch, registry):
    from charrnn_core.network import explain as module

    monkeypatch.setattr(module, "is_affine", failing(KeyError("copy")))
    told = explain_cell(Ref.parse("elman:4"), registry)
    why = "its loops cannot be described: KeyError: 'copy'"
    assert told["engine"] and told["why"].endswith(why)


@pytest.mark.slow
def test_the_command_line_trains_and_says_it_once(monkeypatch, tmp_path, text_file):
    monkeypatch.setattr(loop, "_pull_step", failing(AttributeError("aval")))
    monkeypatch.setattr(stepper, "trace", failing(AttributeError("aval")))
    run = ["run", "--cell", "elman:4", "--source", str(text_file), "--chars", "600", "--window",
           "8", "--batch", "2", "--quiet", "--out", str(tmp_path / "run")]  # fmt: skip
    runner = click.testing.CliRunner()
    ran = runner.invoke(cli, run, catch_exceptions=False)
    assert ran.exit_code == 0
    assert ran.output.count("AttributeError: aval") == 1
    assert "note: the unroll engine failed on the step: AttributeError: aval" in ran.stderr
    info = json.loads(runner.invoke(cli, ["info", str(tmp_path / "run"), "--json"]).output)
    assert "AttributeError: aval" in info["unroll"]["why"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        wrote = runner.invoke(cli, ["sample", str(tmp_path / "run"), "--length", "30"])
    assert wrote.exit_code == 0
    assert wrote.stderr.count("note: the unroll engine failed on the step: AttributeError") == 1
    forced = runner.invoke(cli, [*run[:-1], str(tmp_path / "other"), "--unroll", "engine"])
    assert forced.exit_code == 1
    assert len(forced.output.splitlines()) == 1 and "use --unroll auto" in forced.output
