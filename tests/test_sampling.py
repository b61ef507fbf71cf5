"""Samples follow the distribution they should, and depend on the seed alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.sampling import draw as sampling
from charrnn_core.sampling.chain import Chain
from charrnn_core.sampling.draw import Generator
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.text.alphabet import Alphabet

V = 6


class Memoryless:
    """A cell whose logits are the same at every step: the identity of its parameters."""

    def init(self, key, in_features):
        return {"y": jnp.zeros(3)}

    def initial_carry(self, params, input_shape):
        return jnp.zeros((input_shape[0], 1))

    def step(self, params, carry, x):
        return carry, jnp.broadcast_to(params["y"], (x.shape[0], 3))


@pytest.fixture(scope="module")
def network():
    return Network(Memoryless(), symbols=V)


@pytest.fixture(scope="module")
def params(network):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), shapes)


def chain(registry, *specs):
    refs = [Ref.parse(spec) for spec in specs]
    return Chain([registry.load("sampler", r)(registry.options("sampler", r)) for r in refs])


def draw(network, params, sampler, length, batch=1, seed=0):
    generate = Generator(network, sampler)
    pieces = generate(params, np.zeros(1, np.int32), length, jax.random.key(seed), batch)
    return np.concatenate(list(pieces))


def softmax(logits):
    e = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return e / e.sum()


@pytest.mark.parametrize("T", [0.5, 1.0, 2.0])
def test_temperature_is_exactly_softmax_of_logits_over_T(registry, network, params, T):
    logits = np.asarray(
        params["cell"]["y"] @ params["readout"]["kernel"] + params["readout"]["bias"]
    )
    ids = draw(network, params, chain(registry, f"temperature:{T}"), 4000, batch=5).ravel()
    expected = softmax(logits / T) * len(ids)
    counts = np.bincount(ids, minlength=V)
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < 20.5  # chi-square with 5 degrees of freedom: p = 0.001


def test_successive_draws_and_rows_are_independent(registry, network, params):
    ids = draw(network, params, chain(registry, "temperature:1"), 4000, batch=4)
    share = np.bincount(ids.ravel(), minlength=V) / ids.size
    for one, other in ((ids[1:], ids[:-1]), (ids[:, 1:], ids[:, :-1])):
        pairs = np.zeros((V, V))
        np.add.at(pairs, (one.ravel(), other.ravel()), 1)
        expected = np.outer(share, share) * one.size
        assert ((pairs - expected) ** 2 / expected).sum() < 65  # 25 degrees: p < 0.0001


def test_temperature_zero_is_the_first_largest(registry):
    sampler = chain(registry, "temperature:0").samplers[0]
    logits = jnp.array([[1.0, 3.0, 3.0], [5.0, -1.0, 2.0]])
    shaped, _ = sampler(jax.random.key(0), logits, None)
    assert shaped.tolist() == [[-np.inf, 0.0, -np.inf], [0.0, -np.inf, -np.inf]]


def test_samplers_apply_in_order(registry, network, params):
    one = draw(network, params, chain(registry, "temperature:0.25"), 300)
    two = draw(network, params, chain(registry, "temperature:0.5", "temperature:0.5"), 300)
    assert one.tolist() == two.tolist()


def test_the_piece_size_and_the_number_of_rows_change_nothing(
    registry, network, params, monkeypatch
):
    sampler = chain(registry, "temperature:1")
    ids = draw(network, params, sampler, 300, batch=3)
    assert len(ids) == 300
    monkeypatch.setattr(sampling, "_MOST_PER_CALL", 7)
    assert draw(network, params, sampler, 300, batch=3).tolist() == ids.tolist()
    assert draw(network, params, sampler, 300, batch=1)[:, 0].tolist() == ids[:, 0].tolist()
    assert draw(network, params, sampler, 50, batch=1, seed=1).tolist() != ids[:50, :1].tolist()


def test_a_sampler_may_remember(network, params):
    class NoRepeat:
        """Never the same symbol twice in a row."""

        def init(self, batch):
            return jnp.full(batch, -1)

        def __call__(self, key, logits, last):
            banned = jax.nn.one_hot(last, V, dtype=bool)
            logits = jnp.where(banned, -jnp.inf, logits)
            best = jnp.argmax(logits, axis=-1)
            return jnp.where(jax.nn.one_hot(best, V, dtype=bool), 0.0, -jnp.inf), best

    ids = draw(network, params, Chain([NoRepeat()]), 40, batch=2)
    assert (ids[1:] != ids[:-1]).all() and len(set(ids.ravel().tolist())) == 2


def test_the_prompt_is_read(registry):
    cell = registry.build_cell(Ref("elman", "5"), as_cell)
    network = Network(cell, symbols=V)
    params = network.compiled_init(jax.random.key(0))
    generate = Generator(network, chain(registry, "temperature:0"))
    prompt = np.array([3, 1, 4, 1], np.int32)
    [ids] = generate(params, prompt, 10, jax.random.key(0))
    carry, expected = network.initial_carry(params, 1), []
    for i in prompt:
        logits, carry = network.step(params, carry, jnp.array([i]))
    for _ in range(10):
        i = int(np.argmax(logits))
        expected.append(i)
        logits, carry = network.step(params, carry, jnp.array([i]))
    assert ids[:, 0].tolist() == expected


def test_an_empty_prompt_is_the_beginning_of_a_line():
    assert encode_prompt(Alphabet("\nab"), "").tolist() == [0]
    assert encode_prompt(Alphabet("ab"), "").tolist() == [0]
    assert encode_prompt(Alphabet("ab"), "xbx", "skip").tolist() == [1]


def test_a_prompt_begins_a_document():
    for separator in ((2,), (1, 2)):
        assert encode_prompt(Alphabet("\nab"), "", separator=separator).tolist() == [2]
        assert encode_prompt(Alphabet("\nab"), "aa", separator=separator).tolist() == [2, 1, 1]


def test_options_of_a_sampler_reach_it(registry):
    with pytest.raises(Exception, match="option 'temperature' .* is -1.0; expected a value >= 0"):
        registry.options("sampler", Ref("temperature", "-1"))
