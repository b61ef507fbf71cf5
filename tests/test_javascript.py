"""A network's step as JavaScript gives, in node, the logits that JAX gives."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jax import lax

from charrnn_core.cell import as_cell
from charrnn_core.errors import ExportError
from charrnn_core.javascript.bundle import engine, model_data, runtime
from charrnn_core.javascript.packing import pack
from charrnn_core.javascript.step import compile_step
from charrnn_core.network.context import Context
from charrnn_core.network.network import Network
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.text.alphabet import Alphabet

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
V, T = 11, 24

_READ = """
const fs = require("fs");
(async () => {
  const { ids, files } = JSON.parse(fs.readFileSync(0));
  const all = {};
  for (const [name, { code, data }] of Object.entries(files)) {
    const { makeModel } = new Function(code + "; return engine")()();
    const model = await makeModel(data);
    for (const id of ids.slice(0, 3)) model.step(id);
    model.reset();
    all[name] = ids.map((id) => Array.from(model.step(id)));
  }
  process.stdout.write(JSON.stringify(all));
})();
"""


class Awkward(nn.RNNCellBase):
    """A cell whose carry is one array of real numbers, unless it says otherwise."""

    features: int = 6
    num_feature_axes = 1

    @nn.nowrap
    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Any:
        return jnp.zeros((*input_shape[:-1], self.features))


class Attends(Awkward):
    """Attends to a ring of its last states; its place in it is an integer."""

    @nn.compact
    def __call__(self, carry: Any, x: Any) -> Any:
        ring, place = carry
        query = nn.LayerNorm()(nn.Dense(self.features)(x))
        weights = nn.softmax(jnp.einsum("bh,bkh->bk", query, ring))
        h = jnp.tanh(query + jnp.einsum("bk,bkh->bh", weights, ring))
        put = jax.vmap(lambda ring, at, h: lax.dynamic_update_slice(ring, h[None], (at, 0)))
        return (put(ring, place % 5, h), place + 1), h

    @nn.nowrap
    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Any:
        rows = input_shape[:-1]
        return jnp.zeros((*rows, 5, self.features)), jnp.zeros(rows, jnp.int32)


class Repeats(Awkward):
    """Repeats a layer until a sum is large, then takes one of two branches, then sorts."""

    @nn.compact
    def __call__(self, h: Any, x: Any) -> Any:
        W = self.param("W", nn.initializers.lecun_normal(), (self.features, self.features))
        x = nn.Dense(self.features)(x)

        def again(state: Any) -> Any:
            n, h = state
            return n + 1, jnp.tanh(h @ W + x)

        _, h = lax.while_loop(lambda s: (s[0] < 4) & (jnp.sum(s[1]) < 1.0), again, (0, h))
        h = lax.cond(jnp.mean(h) > 0, jnp.sin, lambda h: jnp.sort(h, axis=-1), h)
        return h, nn.gelu(jnp.cumsum(h, -1), approximate=False)


class Turns(Awkward):
    """Has a complex carry, a Fourier transform and a convolution."""

    @nn.compact
    def __call__(self, z: Any, x: Any) -> Any:
        angle = self.param("angle", nn.initializers.normal(1.0), (self.features,))
        turn = lax.complex(0.9 * jnp.cos(angle), 0.9 * jnp.sin(angle))[None]
        read = nn.Dense(self.features)(x)
        z = turn * z + lax.complex(read, jnp.zeros_like(read))
        waves = jnp.fft.rfft(z.real)
        y = jnp.fft.irfft(waves * waves, n=self.features)
        return z, nn.Conv(2, (3,))(jnp.stack([y, z.imag], -1)).reshape(len(y), -1)

    @nn.nowrap
    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Any:
        return jnp.zeros((*input_shape[:-1], self.features), jnp.complex64)


class Derives(Awkward):
    """Has the digamma function, for which there is no code."""

    @nn.compact
    def __call__(self, h: Any, x: Any) -> Any:
        h = lax.digamma(1.0 + jnp.abs(nn.Dense(self.features)(x) + h))
        return h, h


def networks() -> dict[str, Network]:
    """Networks of few parameters: every shipped cell, every kind of network, awkward cells."""
    registry = Registry.installed()

    def network(spec: str, **more: Any) -> Network:
        return Network(registry.build_cell(Ref.parse(spec), as_cell), V, **more)

    some = "elman:5 gru:6 indrnn:7 lstm:5 mgu:6 mingru:7 minlstm:5 mlstm:8 mogrifier:8 rglru:8"
    found = {spec: network(spec) for spec in f"{some} rhn:6 slstm:8".split()}
    found["stacked"] = network("stacked:lstm:5,gru:4", embedding=3, context=Context(4, 5))
    found["tied"] = network("flax:GRUCell:7", embedding=4, tied=True, separator=(2, 3))
    found["context"] = network("lstm:4", context=Context(3, 4), separator=(1,))
    for cell in (Attends, Repeats, Turns):
        found[cell.__name__] = Network(as_cell(cell()), V)
    return found


def drawn(network: Network) -> Any:
    params = network.init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    random = np.random.default_rng(1)
    more = [leaf + np.float32(0.1) * random.standard_normal(leaf.shape) for leaf in leaves]
    return jax.tree.unflatten(tree, [np.asarray(leaf, np.float32) for leaf in more])


def in_node(source: str, given: Mapping[str, Any]) -> Any:
    assert NODE is not None
    command = [NODE, "-e", source]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@needs_node
def test_the_step_gives_what_jax_gives():
    ids = np.random.default_rng(0).integers(V, size=T)
    alphabet, files, wanted = Alphabet("abcdefghijk"), {}, {}
    for name, network in networks().items():
        params = drawn(network)
        compiled = compile_step(network, params)
        data = model_data(compiled, alphabet, network.separator)
        files[name] = {"code": engine(compiled), "data": data}
        carry = network.initial_carry(params, 1)
        logits, _ = network.unroll(params, carry, jnp.asarray(ids, jnp.int32)[:, None])
        wanted[name] = np.asarray(jax.nn.log_softmax(logits[:, 0]))
    found = in_node(_READ, {"ids": ids.tolist(), "files": files})
    for name, logits in found.items():
        log_p = np.asarray(jax.nn.log_softmax(np.array(logits, np.float32)))  # null becomes NaN
        np.testing.assert_allclose(log_p, wanted[name], atol=1e-5, rtol=0, err_msg=name)


def test_what_has_no_code_is_named_with_its_line():
    network = Network(as_cell(Derives()), V)
    with pytest.raises(ExportError, match=rf"{Path(__file__).name}:\d+: .* cannot be exported"):
        compile_step(network, drawn(network))


kinds = st.sampled_from(["float32", "int32", "uint32", "uint8", "float16"])


@needs_node
@settings(max_examples=5, deadline=None)
@given(st.lists(kinds.flatmap(lambda kind: arrays.arrays(kind, st.integers(0, 9))), max_size=5))
def test_arrays_come_back(some: list[Any]):
    some = [np.nan_to_num(array) for array in some]
    source = runtime("arrays") + (
        "unpack(JSON.parse(require('fs').readFileSync(0))).then((arrays) => process.stdout.write("
        "JSON.stringify(arrays.map((array) => Array.from(array)))));"
    )
    found = in_node(source, pack(some))
    assert [np.float64(x).tolist() for x in found] == [np.float64(x).tolist() for x in some]
