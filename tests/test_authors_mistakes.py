"""What an author got wrong is told in one line, which begins with the author's file and line."""

import json
import re
from pathlib import Path

import click.testing
import jax
import jax.numpy as jnp
import pytest
from charrnn.cli import cli

from charrnn_core import RunConfig, testing, train
from charrnn_core.errors import PluginError
from charrnn_core.events import Saved
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.training.observers import Observers

PLUGIN = """
from dataclasses import dataclass
import flax.linen as nn, jax, jax.numpy as jnp, optax
from flax import nnx
from charrnn_core import *

@dataclass(frozen=True, kw_only=True)
class Width:
    features: int = opt(4, help="width", ge=1)

@dataclass(frozen=True, kw_only=True)
class Rate:
    learning_rate: float = opt(1e-3, help="rate", gt=0)

class Base(nn.RNNCellBase):
    features: int

class NoOutput(Base):
    @nn.compact
    def __call__(self, h, x):
        return jnp.tanh(nn.Dense(self.features)(h))  # <- no-output

class Nothing(Base):
    @nn.compact
    def __call__(self, h, x):
        nn.Dense(self.features)(h)  # <- nothing

class Wide(Base):
    @nn.compact
    def __call__(self, h, x):
        W = nn.Dense(self.features + 1)
        return (W(h) + nn.Dense(self.features)(x),) * 2  # <- wide

class Growing(Base):
    @nn.compact
    def __call__(self, h, x):
        h = nn.Dense(self.features + 1)(h)
        return h, h  # <- growing

class Misspelt(Base):
    @nn.compact
    def __call__(self, h, x):
        h = nn.Dense(self.fetures)(h)  # <- misspelt
        return h, h

class Unpacking(Base):
    @nn.compact
    def __call__(self, carry, x):
        c, h = carry  # <- unpacking
        return (c, h), h

class Deciding(Base):
    @nn.compact
    def __call__(self, h, x):
        h = nn.Dense(self.features)(h)
        if h.sum() > 0:  # <- deciding
            h = -h
        return h, h

class Coarse(Base):
    @nn.compact
    def __call__(self, h, x):
        return nn.Dense(self.features)(h).astype(jnp.bfloat16), h  # <- coarse

class Swapped(Base):
    def initialize_carry(self, rng, shape):
        return jnp.zeros((shape[0], self.features)), jnp.zeros((shape[0], self.features))
    @nn.compact
    def __call__(self, carry, x):
        h = nn.Dense(self.features)(carry[1])
        return h, (carry[0], h)  # <- swapped

class Shapeless(nn.RNNCellBase):  # <- shapeless
    width: int = 4
    @nn.compact
    def __call__(self, h, x):
        return h, h

class BadCarry(Base):
    def initialize_carry(self):  # <- bad-carry
        return jnp.zeros(3)

class Nnx(nnx.Module):
    def __init__(self, n, features, rngs):
        self.features, self.W = features, nnx.Linear(features, features, rngs=rngs)
    def initialize_carry(self, shape, rngs):
        return jnp.zeros((shape[0], self.features))
    def __call__(self, h, x):
        h = self.W(x)  # <- nnx
        return h, h

@dataclass(frozen=True)
class Pure:
    features: int
    def init(self, key, n):
        return {"W": jnp.eye(self.features)}
    def initial_carry(self, params, shape):
        return jnp.zeros((shape[0], self.features))
    def step(self, params, h, x):
        h = jnp.tanh(h @ params["V"])  # <- pure
        return h, h

CELLS = {"no-output": NoOutput, "nothing": Nothing, "wide": Wide, "growing": Growing,
         "misspelt": Misspelt, "unpacking": Unpacking, "deciding": Deciding, "coarse": Coarse,
         "swapped": Swapped, "bad-carry": BadCarry, "pure": Pure,
         "shapeless": lambda features: Shapeless(),
         "nnx": lambda features: lambda n, rngs: Nnx(n, features, rngs)}

@hookimpl
def charrnn_cells():
    for name, target in CELLS.items():
        yield CellPlugin(name=name, target=target, options=Width, argument="features",
                         summary=name)

def vector(options):
    def loss(logits, targets, weights):
        return logits.sum(-1)  # <- vector
    return loss

def typo(options):
    def loss(logits, targets, weights):
        return jnp.summ(logits)  # <- typo
    return loss

@hookimpl
def charrnn_losses():
    yield LossPlugin(name="vector", target=vector)
    yield LossPlugin(name="typo", target=typo)

def narrow(options):
    def sampler(key, logits, state):
        return logits.sum(-1), state  # <- narrow
    return sampler

class Forgetful:
    def __init__(self, options): pass
    def init(self, batch):
        return jnp.zeros(batch)
    def __call__(self, key, logits, state):
        return logits, None  # <- forgetful

@hookimpl
def charrnn_samplers():
    yield SamplerPlugin(name="narrow", target=narrow)
    yield SamplerPlugin(name="forgetful", target=Forgetful)

def three(options, total_steps):
    return 3  # <- three

def counting(options, total_steps):
    def update(grads, state, params):
        return grads, state + 0.5  # <- counting
    return optax.GradientTransformation(lambda params: jnp.int32(0), update)

@hookimpl
def charrnn_optimizers():
    yield OptimizerPlugin(name="three", target=three, options=Rate)
    yield OptimizerPlugin(name="counting", target=counting, options=Rate)

def astr(argument, options, context):
    return "a text"  # <- astr

def pieces(argument, options, context):
    def read():
        yield argument.upper()  # <- pieces
    return Corpus(pieces=read, name="pieces", origin="here")

@hookimpl
def charrnn_sources():
    yield SourcePlugin(name="astr", target=astr)
    yield SourcePlugin(name="pieces", target=pieces)

class Bell:
    def __init__(self, options): pass
    def on_checkpoint(self, event):
        event.bell()  # <- bell

@hookimpl
def charrnn_observers():
    yield ObserverPlugin(name="bell", target=Bell)
    yield ObserverPlugin(name="no-bell", target=lambda options: Bell())  # <- no-bell
"""
STEP = "; a step must return (carry, output)"
CARRY = "it got carry float32[2,4] and x float32["
CELLS = {
    "no-output": ("a step of cell NoOutput returns float32[2,4]; " + CARRY, STEP),
    "nothing": ("a step of cell Nothing returns None; " + CARRY, STEP),
    "wide": ("raises TypeError: add got incompatible shapes for broadcasting: (1, 5), (1, 4); ",
             "it got carry float32[1,4] and x float32[1,"),
    "growing": ("returns a carry float32[2,5], where", CARRY),
    "misspelt": ("raises AttributeError: ", 'no attribute "fetures"; it got carry float32[1,4]'),
    "unpacking": ("raises ValueError: not enough values to unpack (expected 2, got 1)", STEP),
    "deciding": ("raises TracerBoolConversionError: Attempted boolean conversion of traced array "
                 "with shape bool[]; values are not known", "jnp.where instead of if; it got"),
    "coarse": ("returns a carry bfloat16[2,4], where", CARRY),
    "swapped": ("which looks like (output, carry)", STEP),
    "bad-carry": ("the initial carry of cell BadCarry raises TypeError: ", "3 were given; it must"),
    "pure": ("a step of cell Pure raises KeyError: 'V'; " + CARRY, STEP),
    "shapeless": ("does not define its initial carry: add a field features: int", "or a "),
    "nnx": ("raises TypeError: dot_general requires", CARRY),
}  # fmt: skip
OTHERS = {
    ("loss", "vector"): "loss 'vector' returns float32[",
    ("loss", "typo"): "loss 'typo' raises AttributeError: module 'jax.numpy' has no attribute",
    ("sampler", "narrow"): "a sampler returns (float32[1], None); it got logits float32[1,",
    ("sampler", "forgetful"): "and state float32[1]; it must return (logits, state)",
    ("optimizer", "three"): "optimizer 'three' returns 3; its target is called as target(options,",
    ("optimizer", "counting"): "optimizer 'counting' changes a state int32[] into float32[]",
    ("source", "astr"): "source 'astr' returned str; expected a Corpus",
    ("source", "pieces"): "source 'pieces' raises AttributeError: 'NoneType' object has no",
}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def mine(file) -> Registry:
    registry = Registry.installed()
    registry.add_file(file)
    return registry


def place(file: Path, marker: str) -> str:
    """The file and the line that ends with the marker."""
    lines = file.read_text().splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if line.endswith(f"# <- {marker}"))
    return f"{file}:{number}: "


def refusal(mine: Registry, tmp_path: Path, text_file: Path, **settings: str) -> str:
    """What `train` raises, which has its cause."""
    values = {"cell": "elman:4", "source": str(text_file), "characters": 200, "observers": (),
              "batch": 2, "window": 8, **settings}  # fmt: skip
    with pytest.raises(PluginError) as raised:
        train(RunConfig.read(values), out=tmp_path / "run", registry=mine, note=lambda line: None)
    (line,) = str(raised.value).splitlines()
    if "raises" in line:
        assert isinstance(raised.value.__cause__, Exception)
    return line


@pytest.mark.parametrize("name", CELLS)
def test_a_cell(name, mine, file, tmp_path, text_file):
    line = refusal(mine, tmp_path, text_file, cell=f"{name}:4")
    assert line.startswith(place(file, name)), line
    for part in CELLS[name]:
        assert part in line
    inside = refusal(mine, tmp_path / "stack", text_file, cell=f"stacked:elman:3,{name}:4")
    assert inside.startswith(place(file, name)), inside


@pytest.mark.parametrize("kind, name", OTHERS)
def test_other_hooks(kind, name, mine, file, tmp_path, text_file):
    line = refusal(mine, tmp_path, text_file, **{kind: name})
    assert line.startswith(place(file, name)) and OTHERS[kind, name] in line, line


def test_an_observer_that_fails_is_left_out_with_its_place(mine, file):
    notes: list[str] = []
    audience = Observers([Ref("bell"), Ref("bell")], [], mine, notes.append)
    for _ in range(2):
        audience.notify(Saved(step=1, path=Path("here")))
    told = f"observer Bell failed and was removed: {place(file, 'bell')}AttributeError: "
    assert len(notes) == 2 and all(note.startswith(told) for note in notes)
    with pytest.raises(PluginError, match="observer 'no-bell' raises TypeError") as raised:
        Observers([Ref("no-bell")], [], mine, notes.append)
    assert str(raised.value).startswith(place(file, "no-bell"))


@pytest.mark.parametrize("mode", ["off", "remove_frames", "tracebackhide"])
def test_however_much_jax_hides(mode, mine, file, tmp_path, text_file):
    before = jax.config.jax_traceback_filtering
    jax.config.update("jax_traceback_filtering", mode)
    try:
        line = refusal(mine, tmp_path, text_file, cell="misspelt:4")
    finally:
        jax.config.update("jax_traceback_filtering", before)
    assert line.startswith(place(file, "misspelt"))


def test_the_command(charrnn, file, text_file, tmp_path):
    arguments = ("run", "--plugin", "mine.py", "--cell", "unpacking:4", "--source", text_file)
    (tmp_path / "mine.py").write_text(PLUGIN)
    ran = charrnn(*arguments)
    (line,) = ran.stderr.splitlines()
    number = place(file, "unpacking").split(":")[-2]
    assert ran.returncode == 1 and line.startswith(f"Error: mine.py:{number}: a step of cell Unp")
    assert STEP in line and line.endswith("charrnn --debug shows the traceback")


@pytest.mark.parametrize("name", ["no-output", "wide", "misspelt"])
def test_the_command_in_this_process(name, file, text_file, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_PLUGINS", str(file))
    arguments = ["run", "--cell", f"{name}:4", "--source", str(text_file), "--out",
                 str(tmp_path / "run")]  # fmt: skip
    ran = click.testing.CliRunner().invoke(cli, arguments)
    (line,) = ran.output.splitlines()
    assert ran.exit_code == 1 and line.startswith(f"Error: {place(file, name)}")
    debug = click.testing.CliRunner().invoke(cli, ["--debug", *arguments])
    assert isinstance(debug.exception, PluginError)


def test_the_kit_says_it_once(mine, file):
    outcomes = list(testing.check("cell", "misspelt", registry=mine))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    (only,) = failed
    assert only.check == "initialisation" and only.message.startswith(place(file, "misspelt"))
    assert {outcome.check: outcome.message for outcome in outcomes}["causality"] == (
        "initialisation failed"
    )
    with pytest.raises(testing.CheckFailed) as raised:
        testing.check_cell("misspelt", registry=mine)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("kind, name", [("loss", "typo"), ("sampler", "narrow")])
def test_other_kits_say_it_once(kind, name, mine, file):
    outcomes = list(testing.check(kind, name, registry=mine))
    failed = [outcome.message for outcome in outcomes if outcome.status == "failed"]
    assert sum(message.startswith(place(file, name)) for message in failed) == 1
    assert any(outcome.status == "not run" for outcome in outcomes)


def test_the_card(file, monkeypatch):
    monkeypatch.setenv("CHARRNN_PLUGINS", str(file))
    ran = click.testing.CliRunner().invoke(cli, ["check", "cell", "no-output"])
    assert ran.exit_code == 1
    assert ran.output.count(place(file, "no-output")) == 1
    last = ran.output.splitlines()[-1]
    assert re.match(r"1 of \d+ checks failed.* in \d+ s: carry-is-fixed; \d+ not run because", last)
    shown = click.testing.CliRunner().invoke(cli, ["check", "cell", "no-output", "--json"])
    statuses = {check["status"] for check in json.loads(shown.stdout)["checks"]}
    assert statuses >= {"failed", "not run"} and "performance" not in json.loads(shown.stdout)


def test_a_machine_without_memory_is_not_the_authors_fault(mine):
    class Hungry:
        def init(self, key, n):
            raise MemoryError

        def initial_carry(self, params, shape):
            return jnp.zeros(shape)

        def step(self, params, h, x):
            return h, h

    from charrnn_core.network.network import Network

    with pytest.raises(MemoryError):
        Network(Hungry(), 5).init(jax.random.key(0))
