"""One stateful pass, against the network stepped by hand."""

import jax
import numpy as np
import pytest

from charrnn_core import evaluation
from charrnn_core.cell import as_cell
from charrnn_core.errors import CorpusError
from charrnn_core.evaluation import Evaluation, make_scorer
from charrnn_core.network import Network
from charrnn_core.spec import Ref

V = 6


@pytest.fixture(scope="module")
def network(registry):
    cell = registry.build_cell(registry.resolve("cell", Ref("stacked", "elman:5*2")), as_cell)
    return Network(cell, symbols=V)


@pytest.fixture(scope="module")
def params(network):
    return network.init(jax.random.key(0))


def by_hand(network, params, ids) -> float:
    """Character by character, the sum in float64."""
    carry, total = network.initial_carry(params, 1), 0.0
    step = jax.jit(network.step)
    for current, following in zip(ids[:-1], ids[1:], strict=True):
        logits, carry = step(params, carry, np.array([current]))
        o = np.asarray(logits[0], np.float64)
        total += np.log(np.sum(np.exp(o - o.max()))) + o.max() - o[following]
    return total / (len(ids) - 1)


@pytest.mark.parametrize("length", [2, 9, 41, 150])
def test_every_character_is_predicted_from_all_before_it(network, params, length, monkeypatch):
    monkeypatch.setattr(evaluation, "_WINDOW", 8)  # so that the pass crosses windows and calls
    monkeypatch.setattr(evaluation, "_WINDOWS", 5)
    ids = np.random.default_rng(length).integers(V, size=length).astype(np.int32)
    ours = make_scorer(network)(params, ids)
    assert ours == pytest.approx(by_hand(network, params, ids), rel=1e-5)


def test_one_character_cannot_be_scored(network, params):
    with pytest.raises(CorpusError, match="cannot evaluate 1 characters; expected at least 2"):
        make_scorer(network)(params, np.zeros(1, np.int32))


def test_units():
    result = Evaluation(nats_per_char=2 * np.log(2), characters=3)
    assert result.bits_per_char == pytest.approx(2) and result.perplexity == pytest.approx(4)
