"""Every character scored once, side by side, against the network stepped by hand."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.cell import as_cell
from charrnn_core.errors import CorpusError
from charrnn_core.evaluation.scoring import Scorer, cut_stretches
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.text.split import Piece

V = 6


@pytest.fixture(scope="module")
def network(registry):
    cell = registry.build_cell(registry.resolve("cell", Ref("stacked", "elman:5*2")), as_cell)
    return Network(cell, symbols=V)


@pytest.fixture(scope="module")
def params(network):
    """Small ones, so that 25 characters of warm-up are all that the network can remember."""
    return jax.tree.map(lambda leaf: leaf / 2, network.compiled_init(jax.random.key(0)))


def make_pieces(*lengths):
    rng = np.random.default_rng(3)
    return [Piece(int(rng.integers(V)), rng.integers(V, size=n).astype(np.uint8)) for n in lengths]


@pytest.fixture(scope="module")
def by_hand(network, params):
    """Nats of every character, one after the other, in float64."""
    step = jax.jit(network.step)

    def nats(pieces):
        found = []
        for before, ids in pieces:
            carry = network.initial_carry(params, 1)
            for current, following in zip([before, *ids[:-1]], ids, strict=True):
                logits, carry = step(params, carry, np.array([current], np.int32))
                o = np.asarray(logits[0], np.float64)
                found.append(np.log(np.sum(np.exp(o - o.max()))) + o.max() - o[following])
        return np.array(found)

    return nats


@given(st.lists(st.integers(0, 70), min_size=1, max_size=4), st.integers(1, 9), st.integers(0, 20))
def test_stretches_score_every_character_once(lengths, streams, warm_up):
    stretches = cut_stretches(lengths, streams, warm_up)
    scored = [
        (s.piece, s.begin + s.skip + i) for s in stretches for i in range(s.scored) if s.scored
    ]
    assert scored == [(piece, i) for piece, n in enumerate(lengths) for i in range(n)]
    for s in stretches:  # a piece's first characters have nothing before them to read
        assert s.skip == (min(s.begin + s.skip, warm_up) if streams > 1 else 0)
    if lengths == [sum(lengths)]:
        assert len(stretches) <= streams


@pytest.mark.parametrize(
    ("lengths", "how"),
    [
        ((150,), {"streams": 1}),
        ((150,), {"streams": 1, "characters_per_call": 7}),
        ((150,), {"streams": 5, "warm_up": 25}),
        ((40, 1, 75), {"streams": 1}),
        ((40, 1, 75), {"streams": 5, "warm_up": 25, "characters_per_call": 35}),
        ((40, 1, 75), {"warm_up": 2}),  # as many streams as are long enough
        ((1,), {}),
    ],
)
def test_every_character_is_predicted_from_all_before_it(network, params, by_hand, lengths, how):
    pieces = make_pieces(*lengths)
    nats = np.concatenate([*Scorer(network, **how)(params, pieces)])
    assert nats.dtype == np.float32
    if how.get("warm_up", 25) >= 25:
        np.testing.assert_allclose(nats, by_hand(pieces), rtol=2e-5)
    else:
        np.testing.assert_allclose(nats.mean(), by_hand(pieces).mean(), rtol=0.02)


def test_a_warm_up_over_the_whole_text_is_the_single_pass(network, params):
    pieces = make_pieces(90)
    one, several = (
        np.concatenate([*Scorer(network, **how)(params, pieces)])
        for how in ({"streams": 1}, {"streams": 3, "warm_up": 90})
    )
    np.testing.assert_allclose(several, one, rtol=1e-5)


def test_long_texts_are_read_in_rounds(network, params, by_hand, monkeypatch):
    monkeypatch.setattr("charrnn_core.evaluation.scoring._MOST_STEPS", 60)
    pieces = make_pieces(400)
    rounds = [*Scorer(network, streams=2, warm_up=25)(params, pieces)]
    assert [len(nats) for nats in rounds] == [95, 70, 70, 70, 70, 25]
    np.testing.assert_allclose(np.concatenate(rounds), by_hand(pieces), rtol=2e-5)


def test_nothing_cannot_be_scored(network, params):
    with pytest.raises(CorpusError, match="cannot score 0 characters; expected at least 1"):
        list(Scorer(network)(params, []))


def test_devices_do_not_change_the_result():
    program = """
import jax, numpy as np
import flax.linen as nn
from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.text.split import Piece
network = Network(as_cell(nn.GRUCell(5)), 6)
params = network.compiled_init(jax.random.key(0))
pieces = [Piece(0, np.random.default_rng(0).integers(6, size=900))]
assert len(jax.devices()) == 2
one, two = (
    np.concatenate([*Scorer(network, streams=8, warm_up=30, shards=n)(params, pieces)])
    for n in (1, None)
)
np.testing.assert_allclose(one, two, rtol=1e-6)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
