"""Steps as JavaScript: what they compute, against JAX; and the runtime that pages use."""

import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from charrnn_core.cell import as_cell
from charrnn_core.errors import ExportError
from charrnn_core.javascript.bundle import engine, model_data, runtime
from charrnn_core.javascript.packing import halved, pack
from charrnn_core.javascript.rehearsal import Rehearsal
from charrnn_core.javascript.step import compile_step
from charrnn_core.network.context import Context
from charrnn_core.network.counts import COUNTS, ROW_BITS, Counts, Table
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.text.alphabet import Alphabet
from tests import awkward_cells

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="there is no node")

V, STEPS = 13, 60
LETTERS = "abcdefghijklm"
CELLS = (
    "elman:5", "lstm:5", "gru:5", "mgu:5", "rhn:5", "mogrifier:5", "mlstm:5", "slstm:8", "indrnn:5",
    "mingru:5", "minlstm:5", "rglru:8", "stacked:gru:5*2", "flax:GRUCell:5",
)  # fmt: skip


def in_node(requests: Sequence[dict[str, Any]]) -> list[Any]:
    """What the harness returns for each request, all in one process."""
    harness = Path(__file__).with_name("javascript.js")
    result = subprocess.run(
        ["node", str(harness)],
        input="\n".join(map(json.dumps, requests)),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def drawn(network: Network, seed: int = 1) -> Any:
    """Parameters none of which is 0, of a size at which a mistake shows."""
    leaves, structure = jax.tree.flatten(network.compiled_init(jax.random.key(0)))
    rng = np.random.default_rng(seed)
    return structure.unflatten(
        [x + jnp.asarray(0.1 * rng.normal(size=x.shape), x.dtype) for x in leaves]
    )


class Case:
    """A network to be compiled, the symbols it reads, and what JAX makes of them."""

    def __init__(self, cell: Any, **options: Any) -> None:
        self.network = Network(cell, V, **options)
        self.params = drawn(self.network)
        if "counts" in options:
            rng = np.random.default_rng(3)
            marks = rng.integers(0, 2**12, (64, 4), dtype=np.uint32)
            index = marks << ROW_BITS | rng.integers(1, 21, (64, 4), dtype=np.uint32)
            rows = rng.integers(0, 200, (20, V), dtype=np.uint8)
            weights = np.array([0.6, 0.3], np.float32)
            self.params = {**self.params, COUNTS: Table(index, rows, weights)}
        self.compiled = compile_step(self.network, self.params)
        self.ids = np.random.default_rng(2).integers(0, V, STEPS)

    def request(self) -> dict[str, Any]:
        data = model_data(self.compiled, Alphabet(LETTERS), self.network.separator)
        return dict(kind="step", code=engine(self.compiled), data=data, ids=self.ids.tolist())

    def check(self, found: dict[str, Any]) -> None:
        carry, logits = self.network.initial_carry(self.params, 1), []
        step = jax.jit(partial(self.network.step, self.params))
        for symbol in self.ids.tolist():
            one, carry = step(carry, jnp.array([symbol], jnp.int32))
            logits.append(one[0])
        want = jax.nn.log_softmax(jnp.stack(logits))
        got = jax.nn.log_softmax(jnp.array(found["logits"], jnp.float32))
        assert np.abs(np.asarray(want - got)).max() < 1e-5
        parts = [part for leaf in jax.tree.leaves(carry) for part in _parts(np.asarray(leaf))]
        for mine, theirs in zip(found["carry"], parts, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def _parts(leaf: Any) -> list[Any]:
    flat = leaf.reshape(-1)
    return [flat.real, flat.imag] if np.iscomplexobj(flat) else [flat.astype(np.float64)]


@pytest.fixture(scope="module")
def build(registry):
    return lambda spec: registry.build_cell(Ref.parse(spec), as_cell)


@pytest.mark.slow
def test_every_cell_computes_what_jax_computes(build):
    """With an embedding and a context, whose hashes are of 32 bits; and on one-hot symbols."""
    cases = [Case(build(spec), embedding=7, context=Context(4, 5)) for spec in CELLS]
    cases += [Case(build(spec)) for spec in CELLS[:3]]
    for case, found in zip(cases, in_node([case.request() for case in cases]), strict=True):
        case.check(found)


def test_what_a_network_adds_to_a_cell(build):
    """A tied readout; documents, which start afresh; counts of a text, with words."""
    counts = Counts(3, letters=bytes([0, *[1] * 11, 0]))
    cases = [
        Case(build("gru:5"), embedding=7, tied=True),
        Case(build("lstm:5"), embedding=7, context=Context(3, 5), separator=(2, 3)),
        Case(build("elman:5"), embedding=7, context=Context(4, 5), counts=counts),
    ]
    for case, found in zip(cases, in_node([case.request() for case in cases]), strict=True):
        case.check(found)


def test_what_a_file_loses_is_measured_with_the_numbers_that_it_has(build):
    """What JAX computes from numbers of half the size is what the file computes."""
    case = Case(build("gru:5"), embedding=7, context=Context(3, 5))
    assert case.compiled.short is None
    data = model_data(case.compiled, Alphabet(LETTERS), (), float16=True)
    [found] = in_node([{**case.request(), "data": data}])
    rehearsal, numbers = Rehearsal.of(case.network, case.compiled.source, halved)
    ids = jnp.asarray(case.ids, jnp.int32)[:, None]
    logits, carry = rehearsal.unroll(numbers, rehearsal.initial_carry(numbers, 1), ids)
    np.testing.assert_allclose(found["logits"], logits[:, 0], rtol=1e-4, atol=1e-5)
    start = case.network.initial_carry(case.params, 1)
    whole, _ = jax.jit(case.network.unroll)(case.params, start, ids)
    assert np.abs(np.asarray(whole - logits)).max() > 1e-4
    _, again = rehearsal.unroll(numbers, carry, ids)
    assert jax.tree.structure(again) == jax.tree.structure(carry)


@pytest.mark.slow
def test_awkward_cells_of_others():
    cases = [Case(as_cell(kind()), embedding=6) for kind in awkward_cells.COMPILED]
    for case, found in zip(cases, in_node([case.request() for case in cases]), strict=True):
        case.check(found)


def test_transforms_of_fourier():
    """Over a few steps: what this cell is told apart by grows from step to step, also in JAX."""
    case = Case(as_cell(awkward_cells.Fourier()), embedding=6)
    case.ids = case.ids[:20]
    [found] = in_node([case.request()])
    case.check(found)


def test_half_precision_is_rounded_as_jax_rounds_it():
    """Sums are in another order, so that a rounding to eight bits may differ in the last."""
    case = Case(as_cell(awkward_cells.Half()), embedding=6)
    assert case.compiled.short == "bfloat16"
    [found] = in_node([case.request()])
    carry = case.network.initial_carry(case.params, 1)
    ids = jnp.asarray(case.ids, jnp.int32)[:, None]
    want, _ = jax.jit(case.network.unroll)(case.params, carry, ids)
    assert np.abs(np.asarray(want[:, 0]) - found["logits"]).max() < 0.03


def test_what_cannot_be_compiled_is_refused_where_it_is_written():
    with pytest.raises(ExportError) as error:
        Case(as_cell(awkward_cells.Deriving()), embedding=6)
    line = str(error.value)
    assert "awkward_cells.py:" in line and "digamma" in line and "\n" not in line


def test_the_likeliest_text_is_the_same(build):
    case = Case(build("lstm:16"), embedding=7, context=Context(4, 5))
    step = jax.jit(partial(case.network.step, case.params))
    carry, want = case.network.initial_carry(case.params, 1), [4]
    while len(want) <= 500:
        logits, carry = step(carry, jnp.array(want[-1:], jnp.int32))
        want.append(int(jnp.argmax(logits[0])))
    assert in_node([{**case.request(), "kind": "greedy", "first": 4, "count": 500}]) == [want]


def _arrays(dtype: str) -> Any:
    elements = {"allow_subnormal": False} if dtype.startswith("float") else None
    return arrays_of.arrays(dtype, st.integers(0, 9), elements=elements)


KINDS = ["float32", "float64", "int32", "uint32", "uint8", "int8", "float16"]


@settings(max_examples=5)
@given(st.lists(st.sampled_from(KINDS).flatmap(_arrays), min_size=1, max_size=6))
def test_packed_arrays_come_back(given_arrays):
    code = runtime("arrays")
    [found] = in_node([dict(kind="unpack", code=code, data=pack(given_arrays))])
    for array, texts in zip(given_arrays, found, strict=True):
        got = np.array([float(text.replace("Infinity", "inf")) for text in texts])
        np.testing.assert_array_equal(array.astype(np.float64), got)


def test_numbers_of_half_the_size_are_the_nearest():
    values = np.array([0.1, -7.25, 3e-6, 65504.0, -0.0], np.float32)
    [[found]] = in_node([dict(kind="unpack", code=runtime("arrays"), data=pack([halved(values)]))])
    np.testing.assert_array_equal([float(text) for text in found], values.astype(np.float16))


def called(code: Sequence[str], *expressions: str) -> list[Any]:
    text = "\n".join(map(runtime, code))
    return in_node([dict(kind="call", code=text, expression=each) for each in expressions])


def test_functions_that_javascript_lacks():
    points = [-3.0, -0.4, 0.0, 0.3, 1.7, 4.0]
    [found, rounded] = called(
        ["numbers"],
        f"{points}.map(erfc)",
        "[0.5, 1.5, 2.5, -0.5, -1.5, 0.49].map((x) => roundToEven(x) + 0)",
    )
    np.testing.assert_allclose(found, [math.erfc(x) for x in points], rtol=3e-7)
    assert rounded == [0, 2, 2, 0, -2, 0]


def test_draws_follow_the_sampler():
    """Against frequencies of 20,000 draws, within five standard deviations."""
    p = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    count = 20_000

    def draws(sampler: str, amount: float, temperature: float) -> str:
        how = json.dumps({"sampler": sampler, "amount": amount, "temperature": temperature})
        return (
            f"(() => {{ const random = randomNumbers(7), seen = [0, 0, 0, 0, 0];"
            f" for (let i = 0; i < {count}; i++) seen[draw({np.log(p).tolist()}, {how}, random)]++;"
            " return seen; })()"
        )

    kinds = [("all", 0, 1), ("all", 0, 0.5), ("top-k", 2, 1), ("top-p", 0.6, 1), ("min-p", 0.3, 2)]
    wanted = [p, p**2, p * [1, 1, 0, 0, 0], p * [1, 1, 0, 0, 0], np.sqrt(p) * [1, 1, 1, 0, 0]]
    for found, want in zip(called(["sampling"], *(draws(*k) for k in kinds)), wanted, strict=True):
        want = want / want.sum()
        assert (np.abs(np.array(found) / count - want) <= 5 * np.sqrt(want / count)).all()
    [greedy] = called(["sampling"], draws("all", 0, 0))
    assert greedy == [count, 0, 0, 0, 0]


def test_text_becomes_ids_and_ends():
    points = json.dumps({"kind": "chars", "points": [ord(c) for c in "a\n😀é"]})
    of_bytes = json.dumps({"kind": "bytes", "points": []})
    feed = "[...'one. two'].flatMap((c) => ending.feed({text: c})).map((c) => c.text).join('')"
    found = called(
        ["text"],
        f"encode({points}, 'é😀xa')",
        f"encodePrompt({points}, [], '').ids",
        f"encodePrompt({points}, [2, 0], 'é').ids",
        f"(() => {{ const d = decoder({of_bytes}); return [0xc3, 0xa9].map((b) => d(b)); }})()",
        f"(() => {{ const ending = new Ending('. t'); return [{feed}, ending.ended]; }})()",
    )
    assert found[0] == {"ids": [3, 2, 0], "lacking": ["x"]}
    assert found[1:] == [[1], [0, 3], ["", "é"], ["one", True]]
