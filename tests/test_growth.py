"""Parameters carried to a text whose symbols are not those that a model knows."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import RunConfig, load, resume, train
from charrnn_core.cell import as_cell
from charrnn_core.errors import OptionError
from charrnn_core.network.context import Context
from charrnn_core.network.growth import alphabet_axes, grown
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.training.starting_point import StartingPoint
from tests.agreement import float64
from tests.test_javascript import CELLS

V, MORE, T, B = 6, 3, 7, 4
NETWORKS = (
    dict(),
    dict(embedding=6),
    dict(embedding=6, tied=True),
    dict(embedding=5, context=Context(3, 4)),
    dict(context=Context(3, 4)),
)


def drawn(network: Network) -> dict:
    leaves, structure = jax.tree.flatten(network.init(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return structure.unflatten(
        [jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    )


@pytest.mark.parametrize("options", NETWORKS)
def test_known_symbols_keep_their_logits(options):
    """Also where widths equal V: after known symbols, the logits of known symbols are the same."""
    network = Network(as_cell(nn.GRUCell(6)), V, **options)
    params = drawn(network)
    occurrences = np.array([5, 0, 9, 2, 7, 1, 3, 0, 11])
    larger, more = (
        dataclasses.replace(network, symbols=V + MORE),
        grown(network, params, occurrences),
    )
    assert jax.tree.map(jnp.shape, more) == jax.tree.map(jnp.shape, larger.shapes)
    ids = jnp.asarray(np.random.default_rng(3).integers(0, V, (T, B)), jnp.int32)
    want, _ = network.unroll(params, network.initial_carry(params, B), ids)
    found, _ = larger.unroll(more, larger.initial_carry(more, B), ids)
    np.testing.assert_allclose(found[..., :V], want, rtol=1e-5, atol=1e-5)


def test_new_symbols_start_from_the_mean_and_as_likely_as_they_occur():
    network = Network(as_cell(nn.GRUCell(6)), V, embedding=6)
    params, occurrences = drawn(network), np.array([5, 0, 9, 2, 7, 1, 3, 0, 11])
    more = grown(network, params, occurrences)
    for name in ("embedding",):
        mean = np.asarray(params[name]).mean(0)
        np.testing.assert_allclose(more[name][V:], np.tile(mean, (MORE, 1)), rtol=1e-5)
    mean = np.asarray(params["readout"]["kernel"]).mean(1)
    np.testing.assert_allclose(more["readout"]["kernel"][:, V + 1], mean, rtol=1e-5)
    share = (occurrences + 0.5) / (occurrences + 0.5).sum()
    bias = np.asarray(more["readout"]["bias"], np.float64)
    apart = [bias[i] - np.log(share[i]) for i in range(V) if occurrences[i]]
    np.testing.assert_allclose(bias[V:] - np.log(share[V:]), np.mean(apart), rtol=1e-4)


def test_every_cell_can_be_carried(registry):
    for spec in CELLS:
        network = Network(registry.build_cell(Ref.parse(spec), as_cell), V)
        axes = alphabet_axes(network)
        assert axes["readout"] == {"bias": 0, "kernel": 1}
        assert [axis for axis in jax.tree.leaves(axes["cell"]) if axis != ""]


@pytest.mark.parametrize("options", ({}, {"embedding": 5}, {"embedding": 5, "tied": True}))
@pytest.mark.parametrize(
    "spec", [*CELLS[:2], *(pytest.param(spec, marks=pytest.mark.slow) for spec in CELLS[2:])]
)
def test_the_order_of_an_alphabet_changes_no_probability(registry, spec, options):
    """Also where a width is V: rows go with their characters along the axes that are found."""
    network = Network(registry.build_cell(Ref.parse(spec), as_cell), 5, **options)
    want, found = log_probabilities_in_two_orders(network)
    np.testing.assert_allclose(found, want, atol=1e-6, rtol=0)
    with float64():
        want, found = log_probabilities_in_two_orders(network)
    assert want.dtype == np.float64
    np.testing.assert_allclose(found, want, atol=1e-10, rtol=0)


def log_probabilities_in_two_orders(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Return those of random ids by random parameters, and by the same of a permuted alphabet."""
    params, order = drawn(network), np.array([3, 0, 4, 1, 2])
    moved = jax.tree.map(
        lambda axis, leaf: leaf if axis == "" else jnp.take(leaf, order, axis=axis),
        alphabet_axes(network),
        params,
    )
    ids = jnp.asarray(np.random.default_rng(3).integers(0, 5, (T, B)), jnp.int32)
    place = jnp.asarray(np.argsort(order))

    @jax.jit
    def log_p(params, ids):
        return jax.nn.log_softmax(network.unroll(params, network.initial_carry(params, B), ids)[0])

    return np.asarray(log_p(params, ids)), np.asarray(log_p(moved, place[ids])[..., place])


class Squared(nn.RNNCellBase):
    """Has a weight for each pair of symbols."""

    @nn.compact
    def __call__(self, h, x):
        pairs = self.param("pairs", nn.initializers.normal(), (x.shape[-1], x.shape[-1]))
        h = jnp.tanh(h + (x @ pairs).mean(-1, keepdims=True))
        return h, h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], 2))

    @property
    def num_feature_axes(self):
        return 1


def test_what_grows_in_another_way_is_refused():
    with pytest.raises(OptionError, match=r"pairs.*\(6, 6\).*\(7, 7\).*another alphabet"):
        alphabet_axes(Network(as_cell(Squared()), V))


def test_the_order_of_a_text_changes_no_id():
    known = Alphabet.of("the cat")
    assert known.joined(Alphabet("tac eh")) is known
    assert known.joined(Alphabet("zat!")).symbols == known.symbols + "z!"
    assert ByteAlphabet().joined(ByteAlphabet.of("ab")) == ByteAlphabet()


def test_a_training_goes_on_with_another_text(tmp_path):
    (tmp_path / "old.txt").write_text("the cat sat on the mat.\n" * 60)
    (tmp_path / "new.txt").write_text("the dog is 7; the cat is 9!\n" * 60)
    config = RunConfig(
        source=str(tmp_path / "old.txt"), cell="elman:8", embedding=4, context=3, counts=2, batch=4,
        window=8, characters=3000, observers=(), shards=1, sample_length=5, eval_every=100,
    )  # fmt: skip
    train(config, out=tmp_path / "a", note=lambda line: None)
    notes: list[str] = []
    moved = dataclasses.replace(
        config, source=Ref.parse(f"file:{tmp_path / 'new.txt'}"), init_from=str(tmp_path / "a")
    )
    whole = train(moved, out=tmp_path / "b", note=notes.append)
    [told] = [line for line in notes if "are new" in line]
    assert "the model knows 9 of 16 characters, which make up " in told
    assert "; 7 are new and start from the mean" in told and "'7', " in told
    model, old = load(tmp_path / "b"), load(tmp_path / "a")
    assert model.alphabet.symbols[: len(old.alphabet)] == old.alphabet.symbols
    assert set("dg79;!i") <= set(model.alphabet.symbols)
    origin = StartingPoint.read(str(tmp_path / "a"), note=notes.append)
    assert origin.fitting(RunConfig()).context_bits == old.config.context_bits is not None
    assert origin.fitting(RunConfig(context_bits=3)).context_bits == 3
    skipping = dataclasses.replace(moved, unknown="skip")
    train(skipping, out=tmp_path / "c", note=notes.append, stop=lambda: True)
    assert any("knows 9 of 16 characters of this text; the others are left out" in n for n in notes)
    assert load(tmp_path / "c", note=lambda line: None).alphabet == old.alphabet
    stopped = train(moved, out=tmp_path / "e", note=lambda line: None, stop=lambda: True)
    assert stopped.reason == "interrupted"
    again = resume(tmp_path / "e", note=lambda line: None)
    for one, other in zip(
        jax.tree.leaves(whole.model.params), jax.tree.leaves(again.model.params), strict=True
    ):
        np.testing.assert_array_equal(one, other)
