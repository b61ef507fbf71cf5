"""What is exported of trained networks, over long texts: every cell, as a user trains it."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charrnn_export.variant import Variant

from charrnn_core import RunConfig, load, train
from charrnn_core.javascript.bundle import engine, model_data
from charrnn_core.registry.single_file import using_local_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("node"), reason="there is no node"),
]

README = Path(__file__).parent.parent / "README.md"
EXAMPLE = Path(__file__).parent.parent / "examples" / "charrnn-irnn"
CELLS = (
    "elman", "lstm", "gru", "mgu", "rhn", "mogrifier", "mlstm", "slstm", "indrnn", "mingru",
    "minlstm", "rglru", "stacked:gru:64,elman:48", "irnn", "flax:LSTMCell", "flax:GRUCell",
    "flax:SimpleCell", "flax:nnx.LSTMCell", "flax:nnx.GRUCell",
)  # fmt: skip
READ, WRITTEN = 1000, 2000


@pytest.mark.parametrize("cell", CELLS)
def test_a_trained_network_predicts_and_writes_in_javascript(cell, tmp_path, monkeypatch):
    """|log p| over 1,000 characters within 1e-5, and the same 2,000 likeliest characters."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    spec = cell if ":" in cell and "flax" not in cell else f"{cell}:64"
    config = RunConfig(
        cell=spec, source="python-docs", characters=100_000, observers=(), counts=3, shards=1
    )
    with using_local_files([EXAMPLE / "charrnn_irnn" / "__init__.py"]):
        train(config, out=tmp_path / "run", note=lambda line: None)
        model = load(tmp_path / "run")
    variant = Variant.of(model, counts=True, float16=False)
    network, params = model.network, model.params
    step = partial(jax.jit(network.step), params)
    ids = model.alphabet.encode(README.read_text(), unknown="skip")[:READ].tolist()

    carry, wanted = network.initial_carry(params, 1), []
    for symbol in ids:
        logits, carry = step(carry, jnp.array([symbol], jnp.int32))
        wanted.append(logits[0])
    carry, written = network.initial_carry(params, 1), ids[:1]
    while len(written) <= WRITTEN:
        logits, carry = step(carry, jnp.array(written[-1:], jnp.int32))
        written.append(int(jnp.argmax(logits[0])))

    code, data = engine(variant.compiled), model_data(variant.compiled, model.alphabet, ())
    asked = [
        dict(kind="step", code=code, data=data, ids=ids),
        dict(kind="greedy", code=code, data=data, first=ids[0], count=WRITTEN),
    ]
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("javascript.js"))],
        input="\n".join(map(json.dumps, asked)), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, greedy = map(json.loads, done.stdout.splitlines())
    want = jax.nn.log_softmax(jnp.stack(wanted))
    got = jax.nn.log_softmax(jnp.array(found["logits"], jnp.float32))
    print(f"{cell}: off by {np.abs(np.asarray(want - got)).max():.1e}")
    assert len(ids) == READ and np.abs(np.asarray(want - got)).max() < 1e-5
    assert greedy == written
