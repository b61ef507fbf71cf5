"""Faults that an author may make, each caught by its own check with a message that names it."""

import json
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax import lax

from charrnn_core import CellPlugin, hookimpl, opt
from charrnn_core.registry.registry import Registry
from charrnn_core.testing import CheckFailed, check, check_cell, checks, parametrize_checks

H = 7


class Plain:
    """``h' = tanh(h W + x U)`` as a bare cell; the faults below each change one thing."""

    def init(self, key, in_features):
        ours, theirs = jax.random.split(key)
        W = jax.nn.initializers.orthogonal()(ours, (H, H))
        return {"W": W, "U": jax.nn.initializers.glorot_normal()(theirs, (in_features, H))}

    def initial_carry(self, params, input_shape):
        return jnp.zeros((input_shape[0], H))

    def step(self, params, h, x):
        h = jnp.tanh(h @ params["W"] + x @ params["U"]).astype(h.dtype)
        return h, h


class Scanned(Plain):
    """The same with a way of its own over a sequence."""

    def sequence(self, params, carry, xs, reset):
        def step(h, item):
            x, mask = item
            return self.step(params, jnp.where(mask[:, None], 0.0, h), x)

        return lax.scan(step, carry, (xs, reset))


class SeesAhead(Scanned):
    def sequence(self, params, carry, xs, reset):
        return super().sequence(params, carry, jnp.concatenate([xs[1:], xs[:1]]), reset)


class ParallelDiffers(Scanned):
    def sequence(self, params, carry, xs, reset):
        carry, ys = super().sequence(params, carry, xs, reset)
        return carry, 1.01 * ys


class IgnoresReset(Scanned):
    def sequence(self, params, carry, xs, reset):
        return super().sequence(params, carry, xs, jnp.zeros_like(reset))


class MixesRows(Plain):
    def step(self, params, h, x):
        s = h @ params["W"] + x @ params["U"]
        h = jnp.tanh((s - s.mean(axis=0, keepdims=True)) / (s.std(axis=0, keepdims=True) + 1e-3))
        return h, h


class CarryChangesDtype(Plain):
    def step(self, params, h, x):
        h, y = super().step(params, h, x)
        return h.astype(jnp.bfloat16), y


class CarryChangesShape(Plain):
    def step(self, params, h, x):
        h, y = super().step(params, h, x)
        return jnp.concatenate([h, h], axis=1), y


@jax.custom_vjp
def _tanh(x):
    return jnp.tanh(x)


_tanh.defvjp(lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (g * (1 - y),))


class WrongGradient(Plain):
    def step(self, params, h, x):
        h = _tanh(h @ params["W"] + x @ params["U"])
        return h, h


class RemembersInPython(Plain):
    def __init__(self):
        self.steps = 0

    def step(self, params, h, x):
        self.steps += 1
        h, y = super().step(params, h, x)
        return h, y * (1 + 0.1 * self.steps)


class CompilesEachCall(Plain):
    def step(self, params, h, x):
        h = jax.jit(lambda s: jnp.tanh(s))(h @ params["W"] + x @ params["U"])
        return h, h


class TracedTwice(Plain):
    """Its carry begins as a weakly typed array, which a step does not give back."""

    def initial_carry(self, params, input_shape):
        return jnp.broadcast_to(jnp.asarray(0.0), (input_shape[0], H))


class NeverLearns(Plain):
    def step(self, params, h, x):
        h = jnp.tanh(h @ lax.stop_gradient(params["W"]) + x @ params["U"])
        return h, h


class IgnoresTheKey(Plain):
    def init(self, key, in_features):
        return super().init(jax.random.key(0), in_features)


class Overflows(Plain):
    def step(self, params, h, x):
        up, down = (jnp.exp(sign * (h @ params["W"] + x @ params["U"])) for sign in (1, -1))
        h = (up - down) / (up + down)
        return h, h


class FixesDtype(Plain):
    def step(self, params, h, x):
        h = jnp.tanh(h @ params["W"] + x @ params["U"]).astype(jnp.float32)
        return h, h


class ReadsOneWidth(Plain):
    def init(self, key, in_features):
        return super().init(key, 6)


class Forgets(Plain):
    def step(self, params, h, x):
        h = jnp.tanh(0.01 * (h @ params["W"]) + x @ params["U"])
        return h, h


class Blind(Plain):
    def step(self, params, h, x):
        h = jnp.tanh(h @ params["W"] + 0.0 * (x @ params["U"]))
        return h, h


class HidesThePast(Plain):
    """Half of what it knows of the past is not in the carry."""

    def initial_carry(self, params, input_shape):
        return jnp.zeros((input_shape[0], H)) + jax.random.normal(_next_key(), (1, H))


def _next_key():
    _next_key.count += 1
    return jax.random.key(_next_key.count)


_next_key.count = 0

FAULTS = [
    (SeesAhead, "causality", "the cell sees the future"),
    (MixesRows, "rows-are-independent", "the rows are mixed"),
    (CarryChangesDtype, "carry-is-fixed", r"float32\[1,7\] into bfloat16\[1,7\]"),
    (CarryChangesShape, "carry-is-fixed", r"float32\[1,7\] into float32\[1,14\]"),
    (WrongGradient, "gradients", r"gradient of \['(params|carry)'\].* finite differences give"),
    (RemembersInPython, "pure", "second call with the same arguments gives a result that differs"),
    (HidesThePast, "pure", "two calls of initial_carry with the same arguments differ"),
    (ParallelDiffers, "steps-equal-sequence", "with its sequence method, the output differs"),
    (CompilesEachCall, "traced-once", "functions compiled by each call of the step: 1"),
    (TracedTwice, "traced-once", "5 calls of the compiled step traced it 2 times"),
    (IgnoresReset, "reset-is-a-fresh-start", "row that is reset differs from a fresh start"),
    (NeverLearns, "every-parameter-learns", r"parameter \['W'\] never gets a gradient"),
    (IgnoresTheKey, "initialisation", "two keys give the same parameters"),
    (Overflows, "saturation", "contains nan"),
    (FixesDtype, "bfloat16", r"carry bfloat16\[3,7\] into float32\[3,7\]"),
    (ReadsOneWidth, "inside-stacked", "TypeError"),
    (Forgets, "copies-over-ten-steps", "guessing costs 1.386"),
    (Blind, "learns-an-alternation", "expected less than 0.347"),
]


@pytest.mark.parametrize(
    "fault, name, message", FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_fault_is_caught_by_its_own_check(fault, name, message):
    with pytest.raises(CheckFailed, match=message):
        check_cell(fault(), only=[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault, name, message", FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_fault_does_not_spoil_every_check(fault, name, message):
    outcomes = {outcome.check: outcome for outcome in check("cell", fault())}
    assert not outcomes[name].good
    # What needs no sound carry is checked all the same.
    assert sum(outcome.status == "passed" for outcome in outcomes.values()) >= 2


@parametrize_checks("cell", Plain(), Scanned())
def test_a_sound_cell_passes(check):
    check()


@dataclass(frozen=True, kw_only=True)
class Bare:
    features: int = opt(8, help="")
    gain: float = opt(1.0, help="a factor")


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    gain: float = opt(1.0, help="a factor")

    def __post_init__(self):
        object.__setattr__(self, "gain", 2 * self.gain)


def of_plugin(**fields):
    """A registry with a cell plugin that has these fields."""
    registry = Registry.installed()

    class Module:
        @staticmethod
        @hookimpl
        def charrnn_cells():
            yield CellPlugin(name="mine", target=lambda **options: Plain(), **fields)

    registry.add(lambda: Module, "mine")
    return registry


def test_a_plugin_is_described():
    for fields, message in (
        ({}, "has the summary ''"),
        ({"summary": "mine", "options": Bare}, "option 'features' .* has no help"),
    ):
        with pytest.raises(CheckFailed, match=message):
            check_cell("mine", only=["is-described"], registry=of_plugin(**fields))


def test_options_keep_their_values():
    registry = of_plugin(summary="mine", options=Unsettled)
    with pytest.raises(CheckFailed, match="'gain': 2.0.* become .*'gain': 4.0.* when read again"):
        check_cell("mine", only=["options-round-trip"], registry=registry)


def test_expected_failures():
    known = {"copies-over-ten-steps": "it forgets"}
    only = ["copies-over-ten-steps"]
    (outcome,) = check_cell(Forgets(), only=only, expected_failures=known)
    assert outcome.status == "expected" and outcome.message.startswith("it forgets (")
    with pytest.raises(CheckFailed, match="remove that expectation"):
        check_cell(Plain(), only=only, expected_failures=known)
    with pytest.raises(Exception, match="no check named 'copy'"):
        list(check("cell", "elman", expected_failures={"copy": ""}))


def test_a_linen_cell_is_given_as_it_is():
    outcomes = check_cell(nn.SimpleCell(8), only=["carry-is-fixed", "light-import"])
    assert [outcome.status for outcome in outcomes] == ["skipped", "passed"]


HEAVY = """
from dataclasses import dataclass
import jax
import flax.linen as nn
from charrnn_core import CellPlugin, hookimpl, opt


@dataclass(frozen=True, kw_only=True)
class Options:
    features: int = opt(8, help="width", ge=1)


@hookimpl
def charrnn_cells():
    yield CellPlugin(name="mine", target=nn.SimpleCell, options=Options, argument="features",
                     summary="a cell of a file")
"""


@pytest.mark.slow
def test_the_card(charrnn, charrnn_process, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(HEAVY)
    ran = charrnn_process("check", "cell", "mine", "--plugin", file, "--only", "causality")
    assert ran.returncode == 0 and ran.stdout.startswith("ok      causality"), ran.stderr
    assert "all 1 checks passed" in ran.stdout
    ran = charrnn("check", "cell", "flax:nnx.GRUCell:8", "--only", "pure", "--json")
    (row,) = json.loads(ran.stdout)["checks"]
    assert (row["check"], row["status"]) == ("pure", "passed")
    ran = charrnn("check", "cell", "--list", "elman")
    assert len(ran.stdout.splitlines()) == len(checks("cell"))
    for arguments, message in (
        (("cell", "elmann"), "did you mean 'elman'"),
        (("cel", "elman"), "did you mean 'cell'"),
        (("cell", "elman", "--only", "casuality"), "did you mean 'causality'"),
    ):
        ran = charrnn("check", *arguments)
        assert ran.returncode == 2 and message in ran.stderr and ran.stderr.count("\n") == 1


def test_an_import_of_jax_at_registration_is_named(tmp_path, monkeypatch):
    (tmp_path / "heavy_plugin.py").write_text(HEAVY)
    monkeypatch.syspath_prepend(tmp_path)
    import heavy_plugin

    registry = Registry()
    registry.add(lambda: heavy_plugin, "mine")
    with pytest.raises(CheckFailed, match="importing heavy_plugin imports jax, flax"):
        check_cell("mine", only=["light-import"], registry=registry)
