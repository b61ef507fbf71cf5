"""A model mixed with counts that go on, against dictionaries and a loop in float64."""

from collections import Counter, defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.cell import as_cell
from charrnn_core.evaluation import mixing
from charrnn_core.evaluation.adaptive import AdaptiveNGrams
from charrnn_core.evaluation.dynamic import Dynamic
from charrnn_core.evaluation.mixing import Mixture
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.sampling.mixing import START, mixed_log_p, sureness
from charrnn_core.text.ngrams import count_n_grams
from charrnn_core.text.split import Piece

V = 4
TEXTS = st.lists(st.integers(0, V - 1), max_size=14)
PIECES = st.lists(st.tuples(st.integers(0, V - 1), TEXTS), min_size=1, max_size=3)


def piece(before, ids):
    return Piece(before, np.array(ids, np.uint8))


def random_ids(length, seed):
    """A text with structure: a few strings over and over."""
    rng = np.random.default_rng(seed)
    words = [rng.integers(V, size=n) for n in (3, 4, 5, 1)]
    return np.concatenate([words[i] for i in rng.integers(4, size=length)])[:length]


def naive_counts(training, pieces, order, symbols=V):
    """Return the probabilities of all symbols at every character, with a dictionary."""
    follows = defaultdict(Counter)

    def count(text, i):
        for k in range(min(i, order) + 1):
            follows[tuple(text[i - k : i])][text[i]] += 1

    for i in range(len(training)):
        count(training, i)
    found = []
    for before, ids in pieces:
        text = [before, *ids]
        for i in range(1, len(text)):
            p = np.full(symbols, 1 / symbols)
            for k in range(min(i, order) + 1):
                counts = follows[tuple(text[i - k : i])]
                total, kinds = sum(counts.values()), len(counts)
                if total:
                    n = np.array([counts[x] for x in range(symbols)])
                    p = (n + kinds * p) / (total + kinds)
            found.append(p)
            count(text, i)
    return np.array(found).reshape(-1, symbols)


@given(TEXTS, PIECES, st.integers(0, 3), st.integers(1, 5), st.integers(1, 3))
def test_adaptive_counts_are_those_of_dictionaries(training, pieces, order, at_a_time, times):
    """However much is predicted at a time, and however often the counts are made anew."""
    counts = AdaptiveNGrams(
        np.array(training, np.uint8), V, order, block=at_a_time * times, at_a_time=at_a_time
    )
    found = [*counts.predict([piece(*each) for each in pieces])]
    p = naive_counts(training, pieces, order)
    assert all(len(some.targets) == at_a_time for some in found[:-1])
    assert [x for some in found for x in some.targets] == [x for _, ids in pieces for x in ids]
    for some in found:
        np.testing.assert_allclose(np.exp(some.log_p).sum(axis=1), 1, rtol=1e-5)
    if len(p):
        log_p = np.concatenate([some.log_p for some in found])
        np.testing.assert_allclose(log_p, np.log(p), rtol=1e-5, atol=1e-6)


def test_only_the_last_characters_are_remembered():
    """Those before what is counted at a time; within it, all."""
    training, ids = random_ids(40, 0), random_ids(30, 1)
    counts = AdaptiveNGrams(training, V, 2, memory=10, block=8, at_a_time=8)
    _, second, *_ = counts.predict([Piece(1, ids)])
    # One of the training text, the character before the piece, which is context alone, and eight.
    p = naive_counts(training[-1:].tolist(), [(1, ids[:16].tolist())], 2)
    np.testing.assert_allclose(np.exp(second.log_p), p[8:], rtol=1e-5)


def test_counts_are_sparse():
    """An alphabet of 6,000, of which no context but the empty one has seen many."""
    rng = np.random.default_rng(0)
    training, ids = rng.integers(6000, size=(2, 500)).astype(np.uint16)
    tree, nodes = count_n_grams([training], np.ones(500, bool), 6000, 7)
    assert len(tree.first) < 7 * 500 + 2 and nodes.shape == (8, 500)
    [*found] = AdaptiveNGrams(training, 6000).predict([Piece(0, ids)])
    p = naive_counts(training.tolist(), [(0, ids.tolist())], 6, symbols=6000)
    np.testing.assert_allclose(np.exp(np.concatenate([f.log_p for f in found])), p, rtol=1e-5)


@given(TEXTS, st.integers(1, 4))
def test_the_tree_has_the_strings_of_the_text(text, longest):
    tree, nodes = count_n_grams([np.array(text, np.uint8)], np.ones(len(text), bool), V, longest)
    strings: dict[int, tuple[int, ...]] = {0: ()}
    for node in range(len(tree.symbols)):
        for child in range(tree.first[node], tree.first[node + 1]):
            strings[child] = (*strings[node], int(tree.symbols[child]))
    expected = Counter(
        tuple(text[i : i + n]) for n in range(1, longest + 1) for i in range(len(text) - n + 1)
    )
    assert {strings[i]: int(tree.counts[i]) for i in range(1, len(strings))} == expected
    assert all(strings[int(tree.suffixes[i])] == strings[i][1:] for i in strings)
    for length, (begin, end) in enumerate(zip(tree.levels, tree.levels[1:], strict=False)):
        assert {len(strings[i]) for i in range(begin, end)} <= {length}
    for length, row in enumerate(nodes[1:], start=1):
        for i, node in enumerate(row.tolist()):
            whole = i + 1 >= length
            assert strings[node] == tuple(text[i + 1 - length : i + 1]) if whole else node == -1


def test_the_mixture_is_a_distribution():
    rng = np.random.default_rng(0)
    model, counts = jax.nn.log_softmax(jnp.asarray(rng.normal(size=(2, 3, V)), jnp.float32))
    weights = jnp.asarray(rng.random((3, 2)), jnp.float32)
    q = np.exp(np.asarray(mixed_log_p(weights, model, counts), np.float64))
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-6)
    w = np.asarray(weights, np.float64)
    powers = np.exp(w[:, :1] * np.asarray(model) + w[:, 1:] * np.asarray(counts))
    np.testing.assert_allclose(q, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)


def sure(p):
    return sum(p.max() > bound for bound in (0.3, 0.6, 0.9))


def naive_mixture(model, p, targets, rate):
    """Return the nats of the mixture, learning after each character, in float64."""
    weights, nats = defaultdict(lambda: np.array(START, np.float64)), []
    for one, other, x in zip(model, np.log(p), targets, strict=True):
        w = weights[sure(np.exp(other))]
        powers = np.exp(w[0] * one + w[1] * other)
        q = powers / powers.sum()
        nats.append(-np.log(q[x]))
        gradient = np.array([one[x] - q @ one, other[x] - q @ other])
        weights[sure(np.exp(other))] = np.maximum(w + rate * gradient, 0)
    return nats


@pytest.mark.parametrize("rate", [0.01, 0.5])  # with the second, weights reach zero
def test_the_mixture_learns_as_a_loop_does(rate):
    rng = np.random.default_rng(0)
    training, texts = random_ids(60, 0), [random_ids(23, 1), random_ids(17, 2)]
    pieces = [Piece(2, texts[0]), Piece(3, texts[1])]
    model = np.asarray(jax.nn.log_softmax(jnp.asarray(rng.normal(size=(40, V)), jnp.float32)))
    mixture = Mixture(training, V, order=3, rate=rate, at_a_time=16)
    found = [*mixture.nats([model[:5], model[5:30], model[30:]], pieces)]
    assert [len(own) for own, _ in found] == [16, 16, 8]
    targets = np.concatenate(texts)
    own, mixed = (np.concatenate(nats) for nats in zip(*found, strict=True))
    np.testing.assert_array_equal(own, -model[np.arange(40), targets])
    p = naive_counts(training.tolist(), [(2, texts[0]), (3, texts[1])], 3)
    assert len({sure(row) for row in p}) > 2
    np.testing.assert_allclose(mixed, naive_mixture(model, p, targets, rate), rtol=1e-3)
    again = np.concatenate([mixed for _, mixed in mixture.nats([model], pieces)])
    np.testing.assert_array_equal(again, mixed)  # what was learnt is forgotten


def test_learning_is_up_the_gradient_of_the_log_probability():
    rng = np.random.default_rng(1)
    model, counts = jax.nn.log_softmax(jnp.asarray(rng.normal(size=(2, 1, V)), jnp.float32))
    w, symbol = jnp.tile(jnp.array([0.7, 0.4]), (4, 1)), jnp.full(1, 2, jnp.int32)
    gradient = jax.grad(lambda w: mixed_log_p(w[sureness(counts)], model, counts)[0, 2])(w)
    assert np.count_nonzero(gradient) == 2
    after, _ = mixing._mix(0.01, w, model, counts, symbol)
    np.testing.assert_allclose(after - w, 0.01 * gradient, rtol=1e-3, atol=1e-7)


@pytest.fixture(scope="module")
def network(registry):
    cell = registry.build_cell(registry.resolve("cell", Ref("elman", "5")), as_cell)
    return Network(cell, symbols=V)


@pytest.fixture(scope="module")
def params(network):
    return jax.tree.map(lambda leaf: leaf / 2, network.compiled_init(jax.random.key(0)))


@pytest.mark.parametrize("kept", [1 << 24, 2000, 40])
@pytest.mark.parametrize("streams", [None, 1, 3])
def test_log_probabilities_are_of_the_same_pass(network, params, monkeypatch, kept, streams):
    """In order, however few are kept."""
    monkeypatch.setattr("charrnn_core.evaluation.scoring._NUMBERS_KEPT", kept)
    pieces = [Piece(1, random_ids(n, n)) for n in (150, 1, 90)]
    scorer = Scorer(network, streams=streams, warm_up=25)
    nats = np.concatenate([*Scorer(network, streams=1)(params, pieces)])
    log_p = np.concatenate([*scorer.log_p(params, pieces)])
    targets = np.concatenate([piece.ids for piece in pieces])
    assert log_p.dtype == np.float32 and log_p.shape == (241, V)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(-log_p[np.arange(241), targets], nats, rtol=1e-4)


def test_dynamic_evaluation_has_log_probabilities(network, params):
    pieces = [Piece(1, random_ids(n, n)) for n in (43, 12)]
    dynamic = Dynamic(network, params, random_ids(60, 0), rate=0.02, window=5)
    nats = np.concatenate([*dynamic.score(pieces)])
    log_p = np.concatenate([*dynamic.log_p(pieces)])
    targets = np.concatenate([piece.ids for piece in pieces])
    np.testing.assert_allclose(-log_p[np.arange(55), targets], nats, rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
