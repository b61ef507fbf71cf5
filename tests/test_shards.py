"""Shards: what is exchanged between devices, and what each of them draws."""

import json
import os
import subprocess
import sys

import pytest

from charrnn_core.registry.registry import Registry

SETTINGS = """
import json, re, sys, jax, numpy as np
from functools import partial
from jax.sharding import PartitionSpec as P
from charrnn_core import noise
from charrnn_core.network.mesh import data_mesh
from charrnn_core.registry.registry import Registry
from charrnn_core.runs.config import RunConfig
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.setup import prepare
from charrnn_core.training.shards import summed

assert len(jax.devices()) == 4
registry, mesh = Registry.installed(), data_mesh(4)
"""

COLLECTIVES = """
KINDS = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast"
text = "the quick brown fox jumps over the lazy dog. " * 60
text = Corpus(text=text, name="fox", origin="here")

def found(text):
    '''The collectives of a program, each with how many loops it is inside.'''
    bodies = re.split(r"\\n(?=(?:ENTRY )?%?[\\w.-]+ \\()", text)
    inside, calls = {}, {}
    for body in bodies:
        name = re.match(r"\\s*(?:ENTRY )?%?([\\w.-]+)", body)[1]
        inside[name] = re.findall(rf"= \\S.*? ({KINDS})(?:-start)?\\(", body)
        loops = set(re.findall(r"(?:body|condition)=%?([\\w.-]+)", body))
        others = set(re.findall(r"(?:to_apply|calls)=%?([\\w.-]+)", body))
        calls[name] = [(each, 1) for each in loops] + [(each, 0) for each in others]
        if body.lstrip().startswith("ENTRY"):
            entry = name
    todo, all = [(entry, 0)], []
    while todo:
        name, depth = todo.pop()
        all += [(kind, depth) for kind in inside[name]]
        todo += [(each, depth + more) for each, more in calls.get(name, ())]
    return all

result = {}
for cell, unroll, more in json.loads(sys.argv[1]):
    config = RunConfig(source=text, cell=cell, unroll=unroll, batch=8, window=8, shards=4,
                       characters=2000, observers=(), **more)
    trainer = prepare(config.resolve(registry)).trainer
    result[f"{cell} {unroll}"] = found(trainer.compile(2, 8).compiled.as_text())
print(json.dumps(result))
"""

DRAWS = """
key = jax.random.key(3)
for shape, axis in (((8, 5), 0), ((3, 8, 6), 1), ((8,), 0), ((4, 3, 2), 0)):
    share = tuple(n // 4 if i == axis else n for i, n in enumerate(shape))
    for draw in (partial(noise.chance, key, 0.3), partial(noise.random_shares, key),
                 partial(noise.random_words, key)):
        def drawn(draw):
            mine = partial(draw, share, axis)
            spec = P(*[None] * axis, "data")
            spread = jax.shard_map(mine, mesh=mesh, in_specs=(), out_specs=spec, check_vma=False)
            with jax.set_mesh(mesh):
                return np.asarray(jax.jit(spread)())
        np.testing.assert_array_equal(drawn(draw), draw(shape, axis))
        common = drawn(lambda shape, axis, draw=draw: draw(shape, None)).reshape(-1)
        assert len(set(map(bytes, np.split(common, 4)))) == 1 or axis
rbg = jax.random.key(3, impl="rbg")  # a word of these does not follow from its place alone
with jax.set_mesh(mesh):
    spread = jax.shard_map(lambda: noise.chance(rbg, 0.3, (2, 5)), mesh=mesh, in_specs=(),
                           out_specs=P("data"), check_vma=False)
    np.testing.assert_array_equal(jax.jit(spread)(), noise.chance(rbg, 0.3, (8, 5)))

rng = np.random.default_rng(0)
parts = {"a": rng.normal(size=(4, 3, 5)).astype(np.float32) * 1e4,
         "b": rng.normal(size=(4, 1)).astype(jax.numpy.bfloat16),
         "c": (rng.normal(size=(4, 2)) + 1j * rng.normal(size=(4, 2))).astype(np.complex64)}
with jax.set_mesh(mesh):
    add = lambda tree: summed(jax.tree.map(lambda leaf: leaf[0], tree), 4)
    spread = jax.shard_map(add, mesh=mesh, in_specs=P("data"), out_specs=P(), check_vma=False)
    got = jax.jit(spread)(parts)
for name, leaf in parts.items():
    assert got[name].dtype == leaf.dtype
    wide = leaf.astype(np.float32) if name == "b" else leaf
    expected = (((wide[0] + wide[1]) + wide[2]) + wide[3]).astype(leaf.dtype)
    np.testing.assert_array_equal(got[name], expected)
print(json.dumps("done"))
"""


def with_four_devices(program, *arguments):
    """Run a program where jax sees four devices, and return what it prints."""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS + program, *map(json.dumps, arguments)],
        capture_output=True, text=True, env=env, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_shard_draws_its_rows_and_adds_up_its_slice():
    assert with_four_devices(DRAWS) == "done"


def check_exchanges(programs):
    for name, collectives in programs.items():
        assert collectives, name  # or they were not found
        assert max(loops for _, loops in collectives) <= 1, (name, "inside the time loop")
        assert len(collectives) <= 3, (name, collectives)


def test_nothing_is_exchanged_inside_a_window():
    """Each update has at most three exchanges, and none at a character: as XLA compiles it."""
    noisy = {"dropout_output": 0.3, "average": 0.9, "documents": ". "}
    programs = with_four_devices(COLLECTIVES, [("elman:6", "scan", noisy), ("lstm:6", "auto", {})])
    assert len(programs) == 2
    check_exchanges(programs)


@pytest.mark.slow
@pytest.mark.parametrize("unroll", ["engine", "scan", "parallel", "auto"])
def test_nothing_is_exchanged_inside_a_window_of_any_cell(unroll):
    names = [name for name in Registry.installed().names("cell") if name not in ("flax", "stacked")]
    cells = [f"{name}:8" for name in names] + ["stacked:elman:8,gru:8", "flax:GRUCell:8"]
    wanted = [(cell, unroll, {"dropout_output": 0.3}) for cell in cells]
    programs = with_four_devices(COLLECTIVES, wanted)
    assert len(programs) == len(cells) > 10
    check_exchanges(programs)
