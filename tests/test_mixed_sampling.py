"""Samples of a model mixed with counts of its training text."""

import dataclasses
import json
from collections import Counter, defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import RunConfig, generate, train
from charrnn_core.api import write
from charrnn_core.errors import CorpusError, UnknownNameError
from charrnn_core.sampling.chain import Chain, SamplerContext
from charrnn_core.sampling.mixing import START
from charrnn_core.sampling.ngrams import NGramMixture
from charrnn_core.text.alphabet import Alphabet

V = 4


def naive_counts(training, written, order, symbols):
    """Return the probabilities of what follows, with a dictionary, in float64."""
    follows = defaultdict(Counter)
    for i, x in enumerate(training):
        for k in range(min(i, order) + 1):
            follows[tuple(training[i - k : i])][x] += 1
    p = np.full(symbols, 1 / symbols)
    for k in range(min(len(written), order) + 1):
        counts = follows.get(tuple(written[len(written) - k :]), {})
        total, kinds = sum(counts.values()), len(counts)
        if total:
            p = (np.array([counts.get(x, 0) for x in range(symbols)]) + kinds * p) / (total + kinds)
    return p


def naive_mixture(logits, p):
    logits = np.asarray(logits, np.float64)
    model = np.exp(logits - logits.max())
    powers = (model / model.sum()) ** START[0] * p ** START[1]
    return powers / powers.sum()


def bound(training, order, symbols=V):
    ids = np.array(training, np.uint8)
    return NGramMixture(order).bind(SamplerContext(Alphabet("abcdefgh"[:symbols]), lambda: ids))


@pytest.mark.parametrize(("length", "order"), [(0, 2), (1, 3), (5, 0), (40, 1), (40, 3)])
def test_what_is_drawn_from_is_the_mixture(length, order):
    """At every place of two texts, one of which begins as a part of the training text does."""
    rng = np.random.default_rng(length)
    training = rng.integers(V - 1, size=length).tolist()
    part = training[length // 3 :][:9]
    texts = np.stack([[*part, *rng.integers(V, size=15 - len(part))], rng.integers(V, size=15)])
    logits = jnp.asarray(rng.normal(size=(2, V)), jnp.float32)
    mixture = bound(training, order)
    shape, observe, state = jax.jit(mixture), jax.jit(mixture.observe), mixture.init(2)
    for n in range(16):
        log_q, state = shape(jax.random.key(0), logits, state)
        for row in range(2):
            p = naive_counts(training, texts[row, :n].tolist(), order, V)
            np.testing.assert_allclose(np.exp(log_q[row]), naive_mixture(logits[row], p), rtol=1e-4)
        if n < 15:
            state = observe(state, jnp.asarray(texts[:, n], jnp.int32))


def test_the_samplers_shape_the_mixture_whatever_their_order():
    def cold(key, logits, state):
        return logits / 0.1, state

    class NoTwo:
        constraint = True

        def __call__(self, key, logits, state):
            return logits.at[:, 2].set(-jnp.inf), state

    chain = Chain([bound([0, 1, 2, 0, 1, 3], 2), cold, NoTwo()])
    state = chain.observe(chain.init(1), jnp.array([1]))
    logits = jnp.array([[0.1, 0.2, 0.3, 0.4]])
    shaped, _ = chain(jax.random.key(0), logits, state)
    q = naive_mixture([0.1, 0.2, -np.inf, 0.4], naive_counts([0, 1, 2, 0, 1, 3], [1], 2, V)) ** 10
    np.testing.assert_allclose(jax.nn.softmax(shaped)[0], q / q.sum(), rtol=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text_file):
    config = RunConfig(
        source=str(text_file), cell="elman:8", embedding=0, batch=4, window=16, characters=6000,
        observers=(), unroll="scan", sample_length=5, counts=0,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("mixed") / "run"
    return train(config, out=out, note=lambda line: None)


@pytest.mark.slow
def test_a_weak_model_writes_better_with_counts(trained, text_file):
    model, words = trained.model, set(text_file.read_text().split())

    def known(text):
        return np.mean([word in words for word in text.split()[1:-1]])

    plain, mixed = (generate(model, "Ann ", 300, mix=mix) for mix in (None, "ngram"))
    assert known(mixed) > 0.7 > known(plain)
    assert mixed == generate(model, "Ann ", 300, mix="ngram") != plain
    several = generate(model, prompts=["Ann ", "Bob hears "], length=50, mix="ngram")
    assert several[0] == mixed[:50] and several[1] == generate(model, "Bob hears ", 50, mix="ngram")


def test_the_log_probabilities_are_of_model_and_mixture(trained, text_file):
    model = trained.model
    [[one]] = write(model, "Ann ", 12, mix="ngram", sampler="temperature:1", scored=True)
    own = model.alphabet.encode("Ann " + one.text)
    logits, _ = model.network.unroll(
        model.params, model.network.initial_carry(model.params, 1), jnp.asarray(own[:-1])[:, None]
    )
    training = model.alphabet.encode(text_file.read_text())
    training = training[: len(training) * 9 // 10].tolist()
    for n, character in enumerate(one.characters, start=4):
        p = naive_counts(training, own[:n].tolist(), 6, len(model.alphabet))
        q = naive_mixture(logits[n - 1, 0], p)
        assert character.sampler == pytest.approx(np.log(q[own[n]]), abs=1e-3)
        log_p = jax.nn.log_softmax(logits[n - 1, 0])
        assert character.model == pytest.approx(float(log_p[own[n]]), abs=1e-3)


def test_a_mixture_needs_the_training_text(trained, tmp_path, small_text):
    model = trained.model
    with pytest.raises(UnknownNameError, match="no mixture named 'ngrams' .did you mean 'ngram'"):
        generate(model, mix="ngrams")
    source = tmp_path / "mine.txt"
    source.write_text(small_text + "and\n")
    config = dataclasses.replace(model.config, source=str(source)).resolve(model.registry)
    corpus = {**model.table["corpus"], "origin": str(source)}
    changed = dataclasses.replace(model, config=config, table={**model.table, "corpus": corpus})
    with pytest.raises(CorpusError, match="changed since training; this needs the very text"):
        generate(changed, mix="ngram")


@pytest.mark.slow
def test_the_command(trained, charrnn, charrnn_process):
    options = ("--prompt", "Ann ", "--length", 40, "--mix", "ngram")
    done = charrnn_process("sample", trained.directory, *options)
    assert done.stdout == "Ann " + generate(trained.model, "Ann ", 40, mix="ngram") + "\n"
    lines = charrnn("sample", trained.directory, *options, "--log-probs", "-").stdout.splitlines()
    assert "".join(json.loads(line)["char"] for line in lines) == done.stdout[4:-1]
    refused = charrnn("sample", trained.directory, "--mix", "ngrams")
    assert refused.returncode == 2 and "ngram" in refused.stderr
