"""Parameters that are frozen keep their bits, and others move as fast as they are told to."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import RunConfig, resume, train
from charrnn_core.cell import as_cell
from charrnn_core.errors import OptionError, UnknownNameError
from charrnn_core.network.context import Context
from charrnn_core.network.network import Network
from charrnn_core.network.portion import Everything
from charrnn_core.network.pytree import to_arrays
from charrnn_core.randomness import random_key
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.training.average import averaged
from charrnn_core.training.batches import Batch
from charrnn_core.training.moving import Moving
from charrnn_core.training.optimizer import optimizer_maker
from charrnn_core.training.rows import changed
from charrnn_core.training.state import TrainState
from charrnn_core.training.window_loss import WindowLoss
from tests.conftest import PLAIN_OPTIONS
from tests.test_javascript import CELLS

V, T, B = 7, 5, 4
OPTIMIZERS = (
    "adamw", "sgd", "muon",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("adam", "nadam", "rmsprop")),
)  # fmt: skip
MOVING = Moving(("cell/U", "*/bias"), (("embedding", 0.25), ("readout", 0.5)))
FROZEN = {"cell/U/kernel", "cell/W/bias", "readout/bias"}


def quiet(line: str) -> None:
    del line


def loss(logits, targets, weights):
    del weights
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1))


@pytest.fixture(scope="module")
def network(registry) -> Network:
    return Network(registry.build_cell(Ref("elman", "6"), as_cell), V, embedding=4)


def odd(params):
    """Numbers that adding nothing would change: -0, and, where they are flushed, denormals."""
    return jax.tree.map(lambda leaf: leaf.at[..., 0].set(-0.0).at[..., 1].set(1e-40), params)


def bits(tree) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in to_arrays(tree).items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_leaves_what_is_frozen_and_slows_the_rest(registry, network, name):
    options = {"weight_decay": 0.1} if name in ("adamw", "muon") else {}
    ref = registry.resolve("optimizer", Ref.parse(name).with_options({"warmup": 0, **options}))
    optimizer = optimizer_maker(registry, ref)(10)
    params = odd(network.init(jax.random.key(0)))
    state = TrainState(params, optimizer.init(params), (), jnp.int32(0), jnp.float32(1), params)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    grads = jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape), params)

    def after(moving: Moving):
        return jax.jit(lambda: changed(optimizer, state, Everything(), grads, moving)[0])()

    slow, fast = after(MOVING), after(dataclasses.replace(MOVING, scales=()))
    before = bits(params)
    for path, now in bits(slow).items():
        assert (now == before[path]) == (path in FROZEN), path
    way = [jax.tree.map(lambda a, b: b - a, params, end) for end in (slow, fast)]
    for part, factor in (("embedding", 0.25), ("readout", 0.5), ("cell", 1.0)):
        for one, other in zip(*(jax.tree.leaves(w[part]) for w in way), strict=True):
            np.testing.assert_allclose(one, factor * np.asarray(other), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "spec, options",
    [
        ("elman:6", {}),
        *(pytest.param(s, {"tied": True}, marks=pytest.mark.slow) for s in CELLS),
        pytest.param("lstm:6", {"context": Context(3, 4)}, marks=pytest.mark.slow),
    ],
)
def test_a_frozen_parameter_has_no_gradient_and_the_others_have_theirs(registry, spec, options):
    cell = registry.build_cell(Ref.parse(spec), as_cell)
    network, frozen = Network(cell, V, embedding=4, **options), ("cell", "embedding", "context")
    params = network.init(jax.random.key(0))
    ids = jnp.asarray(np.random.default_rng(0).integers(0, V, (2, T, B)), jnp.int32)
    batch = Batch(ids[0], ids[1], jnp.zeros(B, bool), jnp.ones((T, B)))
    carry, key = network.initial_carry(params, B), random_key(0, "dropout")

    def gradient(moving: Moving):
        whole = WindowLoss(network, loss, B, moving)
        return jax.jit(lambda params: whole.gradient(params, carry, batch, key, None)[1])(params)

    all_move, some_do = (to_arrays(gradient(moving)) for moving in (Moving(), Moving(frozen)))
    for path, want in all_move.items():
        want = np.zeros_like(want) if path.startswith(frozen) else want
        np.testing.assert_allclose(some_do[path], want, rtol=1e-5, atol=1e-7)
    assert np.any(all_move["embedding"]) and np.any(some_do["readout/kernel"])


def test_names_are_paths_their_beginnings_and_globs(network):
    for glob in ("cell", "cell/", "cell/*", "params/cell/U/kernel", "*/kernel", "c[e]ll"):
        Moving((glob,)).check(network.shapes)
    last = Moving.read([], ["*=0.1", "readout=2", "readout/bias=0.5"])
    factors = last.scaled(jax.tree.map(lambda leaf: 1.0, network.shapes))
    assert factors["readout"] == {"kernel": 2.0, "bias": 0.5} and factors["embedding"] == 0.1


@pytest.mark.parametrize(
    "freeze, scales, error, message",
    [
        (["cel"], [], UnknownNameError, "freeze named 'cel' .did you mean 'cell'.*cell/U/kernel"),
        (["cell/Q*"], [], UnknownNameError, r"'cell/Q\*'.* available: cell, .*readout/kernel$"),
        ([], ["read=0.1"], UnknownNameError, "lr_scale named 'read' .did you mean 'readout'"),
        (["cell", "embedding", "r*"], [], OptionError, "every parameter, so there is nothing to"),
        ([], ["cell"], OptionError, "lr_scale is 'cell'; expected NAME=FACTOR"),
        ([], ["cell=0"], OptionError, "above 0.*use --freeze"),
        ([], ["cell=inf"], OptionError, "above 0"),
        ([], ["=0.1"], OptionError, "expected NAME=FACTOR"),
    ],
)
def test_names_of_nothing_are_refused(network, freeze, scales, error, message):
    with pytest.raises(error, match=message):
        Moving.read(freeze, scales).check(network.shapes)


def test_an_average_keeps_the_bits_of_what_is_frozen():
    """Adding nothing to -0 would change it."""
    params = {"cell": jnp.array([-0.0]), "embedding": jnp.array([-0.0])}
    average = averaged(params, params, jnp.int32(5), 0.9, Moving(("cell",)))
    before, after = bits(params), bits(average)
    assert before["cell"] == after["cell"] and before["embedding"] != after["embedding"]


@pytest.fixture(scope="module")
def config(tmp_path_factory, text_file) -> RunConfig:
    return RunConfig(
        source=str(text_file), cell="elman:6", embedding=5, tied=True, context=3, counts=0,
        context_bits=4, batch=4, window=8, characters=1200, average=0.9, observers=(), shards=1,
        freeze=("embedding", "context"), lr_scale=("cell=0.5",), optimizer="adamw",
        sample_length=5, eval_every=100, unroll="scan",
    )  # fmt: skip


def test_a_run_keeps_to_it_when_it_is_resumed(config, tmp_path, charrnn):
    """Tied and with a context; under weight decay, and of the average as well."""
    run = tmp_path / "run"
    train(config, out=run, note=quiet, stop=lambda: True)
    start = open_checkpoint(run, quiet)[1].arrays
    assert resume(run, note=quiet).updates > 10
    end = open_checkpoint(run, quiet)[1].arrays
    for kind in ("params", "average"):
        kept = {path for path in start if path.startswith(f"{kind}/")}
        kept = {path for path in kept if start[path].tobytes() == end[path].tobytes()}
        assert kept == {f"{kind}/embedding", f"{kind}/context"}
    shown = charrnn("info", "run")
    assert "(embedding; context)" in shown.stdout and "(cell=0.5)" in shown.stdout, shown.stderr
    assert "cell/U/kernel [5, 6], " in shown.stdout and "embedding [" in shown.stdout


def test_the_command_refuses_what_is_not_there(charrnn, tmp_path, text_file):
    options = ("--source", text_file, "--cell", "elman:4", "--quiet", *PLAIN_OPTIONS, "--out", "a")
    refused = charrnn("run", *options, "--freeze", "cel", "--freeze", "readout")
    assert refused.returncode == 2 and not (tmp_path / "a").exists()
    [line] = refused.stderr.splitlines()
    assert "no parameter for freeze named 'cel' (did you mean 'cell'?)" in line
