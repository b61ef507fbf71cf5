"""A second plugin from outside, examples/charrnn-mirostat, beside the first: distributions mix."""

import doctest
import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.registry.registry import Registry
from charrnn_core.testing import check_cell, check_observer, check_sampler
from tests.test_example_plugin import EXAMPLE, Bench, done

SECOND = EXAMPLE.parent / "charrnn-mirostat"


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("examples"))
    bench.install(EXAMPLE, SECOND)
    return bench


@pytest.fixture
def modules(monkeypatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(SECOND)
    names = ("sampler", "observer")
    return SimpleNamespace(
        **{name: importlib.import_module(f"charrnn_mirostat.{name}") for name in names}
    )


def test_distributions_mix(bench: Bench):
    """A cell of one, an observer of the other, samplers of both in a chain; then resumed."""
    out = bench.train(
        "mixed", "--cell", "irnn:16", "--observer", "diary", "--sample-every", "2",
        "--sampler", "epsilon:0.001,mirostat:1.5", path=(bench.site,),
    )  # fmt: skip
    diary = (out / "diary.md").read_text()
    assert diary.startswith("## Update ") and "nats per character\n\n    " in diary
    info = json.loads(done(bench.charrnn("info", str(out), "--json")))
    assert {(r["name"], r["distribution"]) for r in info["plugins"]} >= {
        ("irnn", "charrnn-irnn"), ("epsilon", "charrnn-irnn"),
        ("mirostat", "charrnn-mirostat"), ("diary", "charrnn-mirostat"),
    }  # fmt: skip
    assert done(bench.charrnn("sample", str(out), "--length", "30", path=(bench.site,)))
    done(bench.charrnn("resume", str(out), "--characters", "6000", path=(bench.site,)))
    longer = (out / "diary.md").read_text()
    assert longer.startswith(diary) and longer.count("## Update ") > diary.count("## Update ")


def test_docstrings_hold(modules):
    result = doctest.testmod(modules.sampler)
    assert result.attempted and not result.failed


def test_the_kits_pass(modules):
    check_sampler(modules.sampler.Mirostat(SimpleNamespace(bits=1.5, rate=0.1)))
    check_observer(modules.observer.Diary(SimpleNamespace(name="diary.md")))


@pytest.mark.slow
def test_the_kits_of_the_first_example_pass(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLE)
    package = importlib.import_module("charrnn_irnn")
    with_irnn = Registry.installed()
    with_irnn.add(lambda: package, "irnn", "charrnn-irnn", "0.1.0")
    check_cell("irnn", registry=with_irnn)
    check_sampler("epsilon", registry=with_irnn)


def test_the_bound_follows_what_was_drawn(modules):
    """Against NumPy, row by row."""
    bits, rate, rows, symbols = 1.2, 0.3, 4, 6
    sampler = modules.sampler.Mirostat(SimpleNamespace(bits=bits, rate=rate))
    sampler = sampler.bind(SimpleNamespace(alphabet=range(symbols)))
    state, bound = sampler.init(rows), np.full(rows, 2 * bits)
    rng = np.random.default_rng(0)
    for _ in range(5):
        logits = rng.normal(size=(rows, symbols)) * 2
        shaped, state = sampler(jax.random.key(0), jnp.asarray(logits, jnp.float32), state)
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        kept = (-np.log2(p) <= bound[:, None]) | (p == p.max(-1, keepdims=True))
        q = np.where(kept, p, 0) / np.where(kept, p, 0).sum(-1, keepdims=True)
        np.testing.assert_allclose(jax.nn.softmax(shaped), q, rtol=1e-4, atol=1e-6)
        ids = q.argmax(-1)
        bound = bound - rate * (-np.log2(q[np.arange(rows), ids]) - bits)
        state = sampler.observe(state, jnp.asarray(ids, jnp.int32))
        np.testing.assert_allclose(state.bound, bound, rtol=1e-4)


def test_a_prompt_does_not_move_the_bound(modules):
    sampler = modules.sampler.Mirostat(SimpleNamespace(bits=1.2, rate=0.3))
    sampler = sampler.bind(SimpleNamespace(alphabet="abc"))
    state = sampler.observe(sampler.init(2), jnp.array([0, 2]))
    np.testing.assert_allclose(state.bound, 2.4, rtol=1e-6)


def test_its_files_are_those_of_the_readme():
    for line in (SECOND / "README.md").read_text().splitlines():
        if line.startswith("| `"):
            assert Path(SECOND, line.split("`")[1]).exists()
