"""Streams spread over devices, in a process that sees four: the results stay the same."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, jax, jax.numpy as jnp, numpy as np, optax
from functools import partial
from jax.sharding import AxisType, PartitionSpec as P
from charrnn_core.training.batches import Streams, stack_batches
from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.training.update import Trainer
from charrnn_core.engine.unroll import unroll
from charrnn_core.sharing import shared
import flax.linen as nn

V, B, T, H = 7, 16, 5, 6
every = jax.devices()
registry = Registry.installed()
result = {"devices": len(every), "trained": {}, "alone": [], "shard_map": {}}

def error(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in pairs)

def muon(total):
    options = registry.options("optimizer", Ref("muon"))
    return registry.load("optimizer", Ref("muon"))(options, total)

def train(cell, count, optimizer=lambda total: optax.sgd(0.5)):
    loss = registry.load("loss", Ref("crossentropy"))(None)
    network = Network(cell, symbols=V, embedding=4)
    how = {"streams": B, "shards": count, "total_steps": 8}
    trainer = Trainer(network, loss, optimizer, **how)
    ids = np.random.default_rng(0).integers(V, size=300).astype(np.int32)
    state = trainer.init()
    used = len(jax.tree.leaves(state.carry)[0].sharding.device_set)
    batches = stack_batches(Streams(ids, streams=B, window=T), 0, 6, 6)
    state, told = trainer.compile(6, T)(state, batches, np.int32(6), np.int32(8))
    return used, jax.tree.map(np.asarray, (state.params, state.carry, told.nats))

for name, cell in {
    "stack": registry.build_cell(Ref("stacked", f"elman:{H}*2"), as_cell),
    "GRU": as_cell(nn.GRUCell(H)),
}.items():
    for way in ((), (muon,)) if name == "stack" or "all" in sys.argv else ((),):
        used, alone = train(cell, 1, *way)
        result["alone"].append(used)
        for count in (2, 4):
            used, trained = train(cell, count, *way)
            result["trained"][f"{name} {len(way)} {count}"] = [used, error(trained, alone)]
def step(p, carry, x):
    one, two = carry
    waves = jnp.mean(jnp.sin(one[:, :, None] * p["large"][None]), axis=2)
    one = jnp.tanh(one @ p["W"] + x @ p["U"] + p["b"] + waves)
    two = jnp.tanh(two @ p["V"] + one @ p["W"])
    return (one, two), two @ p["U"].T

shapes = {"W": (H, H), "U": (V, H), "V": (H, H), "b": (1, H), "large": (H, 90)}
rng = np.random.default_rng(0)
normal = lambda *shape: jnp.float32(rng.normal(size=shape) * 0.5)
params = {k: normal(*s) for k, s in shapes.items()}
given = params, (normal(B, H), normal(B, H)), normal(T, B, V)
mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))

def total(mode, check, params, carry, xs):
    def share(params, carry, xs):
        return jax.lax.psum(jnp.sum(jnp.sin(unroll(step, params, carry, xs, mode=mode)[1])), "data")
    specs = P(), P("data"), P(None, "data")
    spread = jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=check)
    return spread(params, carry, xs)

def gradients(mode, check):
    whole = partial(total, mode, check)
    return jax.jit(jax.value_and_grad(whole, argnums=(0, 1, 2)))(*given)

def alone(*given):
    return jnp.sum(jnp.sin(unroll(step, *given, mode="scan")[1]))

expected = jax.grad(alone, argnums=(0, 1, 2))(*given)
for check in (False, True):
    try:
        result["shard_map"][str(check)] = error(gradients("engine", check)[1], expected)
    except Exception as failure:
        result["shard_map"][str(check)] = repr(failure)[:300]

def watched(rows):
    tell = lambda sharding: result.update(share=sharding.shard_shape(rows.shape))
    jax.debug.inspect_array_sharding(rows, callback=tell)
    return 2 * rows

with jax.set_mesh(mesh):
    result["doubled"] = jax.jit(partial(shared, watched))(jnp.arange(18.0).reshape(6, 3)).tolist()
print(json.dumps(result))
"""


def found(*words):
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def result():
    return found()


def test_training_does_not_depend_on_the_number_of_devices(result):
    assert_the_same(result, trainings=3)


@pytest.mark.slow
def test_nor_does_that_of_any_cell_with_any_optimizer():
    assert_the_same(found("all"), trainings=4)


def assert_the_same(result, trainings):
    assert result["devices"] == 4 and len(result["trained"]) == 2 * trainings
    assert result["alone"] == [1] * trainings
    for name, (used, error) in result["trained"].items():
        assert used == int(name.split()[-1])
        assert error <= 1e-5, name


@pytest.mark.parametrize("check_vma", ["False", "True"])
def test_the_engine_inside_shard_map(result, check_vma):
    """With the streams over the mesh ``data``; jax checks what varies over it, or does not."""
    error = result["shard_map"][check_vma]
    assert isinstance(error, float) and error <= 1e-5, error


def test_each_device_computes_its_share_of_the_rows(result):
    assert result["share"] == [2, 3]  # of six rows and two of padding, by four devices
    assert result["doubled"] == [[6.0 * i, 6.0 * i + 2, 6.0 * i + 4] for i in range(6)]
