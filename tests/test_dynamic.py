"""Dynamic evaluation, against its equations written as a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.errors import CorpusError
from charrnn_core.evaluation.dynamic import RATES, Dynamic
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.text.split import Piece

T, V, H = 4, 6, 5
RATE, DECAY = 0.02, 0.3


def random_ids(length, seed):
    return np.random.default_rng(seed).integers(V, size=length).astype(np.uint8)


@pytest.fixture(scope="module")
def network(registry):
    cell = registry.build_cell(registry.resolve("cell", Ref("elman", str(H))), as_cell)
    return Network(cell, symbols=V)


@pytest.fixture(scope="module")
def params(network):
    return network.compiled_init(jax.random.key(0))


@pytest.fixture(scope="module")
def training():
    return random_ids(43, 1)


@pytest.fixture(scope="module")
def pieces():
    return [Piece(2, random_ids(2 * T + 3, 2)), Piece(3, random_ids(T, 3))]


@pytest.fixture(scope="module")
def dynamic(network, params, training):
    return Dynamic(network, params, training, rate=RATE, decay=DECAY, window=T)


def written_out(params, training, pieces):
    """The paper's loop; an Elman network by its equations; updates in float64."""
    names = [("cell", "W", "kernel"), ("cell", "W", "bias"), ("cell", "U", "kernel"),
             ("readout", "kernel"), ("readout", "bias")]  # fmt: skip

    def leaf(path):
        found = params
        for name in path:
            found = found[name]
        return np.asarray(found, np.float64)

    def nats(w, h, inputs, targets):
        W, b, U, R, c = w
        lost = []
        for x, y in zip(inputs, targets, strict=True):
            h = jnp.tanh(h @ W + b + U[x])
            o = h @ R + c
            lost.append(jax.nn.logsumexp(o) - o[y])
        return jnp.stack(lost), h

    def window(w, h, inputs, targets):
        def objective(w):
            lost, after = nats(w, h, inputs, targets)
            return jnp.sum(lost) / T, (lost, after)

        single = [x.astype(np.float32) for x in w]
        grads, (lost, after) = jax.grad(objective, has_aux=True)(single)
        return [np.asarray(g, np.float64) for g in grads], np.asarray(lost), np.asarray(after)

    trained = [leaf(path) for path in names]
    count = (len(training) - 1) // T
    last, h = training[-count * T - 1 :].astype(int), np.zeros(H, np.float32)
    squares = [np.zeros_like(w) for w in trained]
    for i in range(count):
        ids = last[i * T : (i + 1) * T + 1]
        grads, _, h = window(trained, h, ids[:-1], ids[1:])
        squares = [s + g * g for s, g in zip(squares, grads, strict=True)]
    roots = [np.sqrt(s / count) for s in squares]
    e = np.concatenate([r.ravel() for r in roots]).mean()
    found, now = [], trained
    for before, ids in pieces:
        stream, h = np.array([before, *ids], int), np.zeros(H, np.float32)
        for start in range(0, len(ids), T):
            some = stream[start : start + T + 1]
            grads, lost, h = window(now, h, some[:-1], some[1:])
            found.append(lost)
            now = [
                w - RATE * g / (r + e) + np.minimum(DECAY * r / e, 1) * (w_0 - w)
                for w, w_0, g, r in zip(now, trained, grads, roots, strict=True)
            ]
    return np.concatenate(found)


@pytest.mark.slow
def test_it_is_the_papers_loop(dynamic, params, training, pieces):
    nats = np.concatenate([*dynamic.score(pieces)])
    expected = written_out(params, training, pieces)
    np.testing.assert_allclose(nats, expected, rtol=2e-5)
    again = np.concatenate([*dynamic.score(pieces)])  # what was learnt is forgotten
    np.testing.assert_array_equal(again, nats)


@pytest.mark.parametrize("cell, separator", [("elman:5", ()), ("stacked:lstm:3,rglru:4", (1, 2))])
def test_without_learning_it_is_the_single_pass(registry, training, pieces, cell, separator):
    """Of any cell, and of a network that starts afresh with every document."""
    built = registry.build_cell(registry.resolve("cell", Ref.parse(cell)), as_cell)
    network = Network(built, symbols=V, separator=separator)
    params = network.compiled_init(jax.random.key(0))
    dynamic = Dynamic(network, params, training, rate=RATE, window=T)
    static = np.concatenate([*Scorer(network, streams=1)(params, pieces)])
    nats = np.concatenate([*dynamic._score(pieces, 0.0)])
    np.testing.assert_allclose(nats, static, rtol=1e-5)
    learnt = np.concatenate([*dynamic.score(pieces)])
    np.testing.assert_allclose(learnt[:T], static[:T], rtol=1e-5)  # scored before it learns
    assert np.isfinite(learnt).all() and (learnt[T:] != static[T:]).any()


def test_it_learns_and_chooses_its_rate_on_the_training_text(network, params):
    text = np.resize(np.array([0, 3, 1, 4, 4, 2, 5], np.uint8), 1500)
    dynamic = Dynamic(network, params, text)
    assert dynamic.rate == max(RATES)  # there is so much to learn, and nothing to lose
    assert f"rate {dynamic.rate:g}, decay 0.001, window 20" in dynamic.name
    nats = np.concatenate([*dynamic.score([Piece(5, text)])])
    assert nats[-300:].mean() < 0.9 * nats[:300].mean()


def test_there_has_to_be_a_training_text(network, params):
    with pytest.raises(CorpusError, match="the training text has 1 characters; expected at least"):
        Dynamic(network, params, np.zeros(1, np.uint8))
