"""What is found out about units, gates and predictions, against what is plain to see."""

import functools
from typing import NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charrnn_lstm.cell import LSTMCell
from charrnn_stacked.cell import StackedCell
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.cell import as_cell
from charrnn_core.engine.unroll import restart
from charrnn_core.inspection.dependence import dependence
from charrnn_core.inspection.features import depth_of_brackets, features, in_quotation
from charrnn_core.inspection.gates import CLOSED, OPEN, gate_uses
from charrnn_core.inspection.probe import probe
from charrnn_core.inspection.ranking import SHIFTS, best_by_chance, correlations
from charrnn_core.inspection.reading import read_text
from charrnn_core.inspection.units import Units
from charrnn_core.network.context import Context
from charrnn_core.network.network import Network
from charrnn_core.network.reading import Lookup
from charrnn_core.text.split import Piece
from tests.agreement import randomly

TEXT = np.random.default_rng(0).integers(0, 7, 40)
PIECES = [Piece(3, TEXT[:25]), Piece(0, TEXT[25:])]


class OddCell:
    """A cell whose carry has leaves of every kind; what it reads moves all of them."""

    def init(self, key, in_features):
        return {"W": jax.random.normal(key, (in_features + 2, 4))}

    def initial_carry(self, params, input_shape):
        batch = input_shape[0]
        return {
            "count": jnp.zeros((batch,), jnp.int32),
            "h": jnp.zeros((batch, 2, 2)),
            "on": jnp.zeros((batch, 3), bool),
            "z": jnp.zeros((batch, 2), jnp.complex64),
        }

    def step(self, params, carry, x):
        seen = jnp.concatenate([x, carry["h"][:, 0]], axis=1) @ params["W"]
        h = jnp.tanh(seen).reshape(-1, 2, 2)
        z = carry["z"] * jnp.complex64(0.5j) + jax.lax.complex(h[:, 0], h[:, 1])
        carry = {"count": carry["count"] + 1, "h": h, "on": h.reshape(-1, 4)[:, :3] > 0, "z": z}
        return carry, jnp.concatenate([h.reshape(-1, 4), z.real, z.imag], axis=1)


def network_of(cell, symbols=7, **more):
    network = Network(as_cell(cell), symbols, **more)
    return network, randomly(network.compiled_init(jax.random.key(1)), 1)


NETWORKS = {
    "one-hot": lambda: network_of(LSTMCell(5)),
    "embedding and context": lambda: network_of(nn.GRUCell(5), embedding=3, context=Context(3, 4)),
    "documents": lambda: network_of(LSTMCell(4), separator=(2, 5)),
    "stacked": lambda: network_of(StackedCell((as_cell(LSTMCell(4)), as_cell(nn.GRUCell(3))))),
    "odd": lambda: network_of(OddCell(), embedding=3),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return NETWORKS[request.param]()


def step_by_step(network, params, piece):
    """The log-probabilities of each character, and the cell's carry after it, one at a time."""
    carry, found = network.initial_carry(params, 1), []
    step = jax.jit(network.step)
    logits, carry = step(params, carry, jnp.array([piece.before], jnp.int32))
    for symbol in piece.ids:
        log_p = jax.nn.log_softmax(logits[0])
        logits, carry = step(params, carry, jnp.array([symbol], jnp.int32))
        after = jax.nn.log_softmax(logits[0])
        found.append((-log_p[symbol], after, network.reading.cell_carry(carry)))
    return found


def test_a_text_is_read_as_step_by_step(network):
    read = read_text(*network, PIECES)
    naive = [seen for piece in PIECES for seen in step_by_step(*network, piece)]
    np.testing.assert_array_equal(read.ids, TEXT)
    np.testing.assert_allclose(read.nats, [nats for nats, _, _ in naive], rtol=1e-5, atol=1e-5)
    order = np.argsort([-np.asarray(after) for _, after, _ in naive], axis=1)[:, :5]
    top = np.array([np.exp(after)[some] for (_, after, _), some in zip(naive, order, strict=True)])
    np.testing.assert_allclose(read.top_p, top, rtol=1e-4)
    for values, (_, _, carry) in zip(read.values, naive, strict=True):
        leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(carry)]
        parts = [
            part for leaf in leaves
            for part in ((leaf.real, leaf.imag) if np.iscomplexobj(leaf) else (leaf,))
        ]  # fmt: skip
        np.testing.assert_allclose(values, np.concatenate(parts), rtol=1e-4, atol=1e-5)
    assert len(read.units) == read.all_units == read.values.shape[1]


def test_places_are_counted_from_the_beginning_of_a_document():
    network, params = network_of(LSTMCell(4), separator=(2, 5))
    ids = np.array([1, 2, 5, 3, 3, 2, 5, 5, 2])
    # A document begins with what follows the last id of a separator that was read.
    assert read_text(network, params, [Piece(0, ids)]).places.tolist() == [
        0,
        1,
        2,
        0,
        1,
        2,
        3,
        0,
        1,
    ]


def test_of_a_wide_carry_evenly_spread_units_are_looked_at():
    carry = {"a": jnp.zeros((1, 30)), "b": jnp.arange(70.0).reshape(1, 7, 10)}
    units = Units.of(carry, ["a", "b"], most=10)
    assert units.all == 100 and len(units.names) == 10
    of_b = [number for leaf, number in units.names if leaf == "b"]
    assert len(of_b) == 7 and np.ptp(of_b) == 69 and np.ptp(np.diff(of_b)) <= 1
    assert units.row(carry)[0, 3:].tolist() == of_b


class Memory(NamedTuple):
    c: jax.Array
    empty: jax.Array


@flax.struct.dataclass
class Both:
    fast: jax.Array
    slow: Memory


class NamedCell:
    """A cell whose carry has names, one of them of a leaf without numbers."""

    def init(self, key, in_features):
        return {}

    def initial_carry(self, params, input_shape):
        zeros = jnp.zeros((input_shape[0], 2))
        return {"a": [zeros], "b": Both(zeros, Memory(zeros, zeros[:, :0]))}

    def step(self, params, carry, x):
        return jax.tree.map(lambda leaf: leaf + 1, carry), carry["b"].fast


class PairCell(NamedCell):
    def initial_carry(self, params, input_shape):
        return 3 * (jnp.zeros((input_shape[0], 2)),)

    def step(self, params, carry, x):
        seen, h, ring = carry
        new_seen = seen + 1
        put = jax.vmap(lambda ring, h: ring + h)
        return (new_seen, jnp.tanh(h), put(ring, h)), h


@pytest.mark.parametrize(
    "cell, names",
    [
        (LSTMCell(2), ["c", "h"]),
        (nn.GRUCell(2), ["carry"]),
        (StackedCell((as_cell(LSTMCell(2)), as_cell(LSTMCell(2)))), "1.c 1.h 2.c 2.h"),
        (OddCell(), ["count", "h", "on", "z real", "z imaginary"]),
        (NamedCell(), ["a.1", "b.fast", "b.slow.c"]),
        (PairCell(), ["seen", "carry 2", "carry 3"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_units_have_the_names_that_the_author_gave(cell, names):
    if isinstance(names, str):
        names = [f"carry {name}" for name in names.split()]
    units = read_text(*network_of(cell), [Piece(0, TEXT[:2])]).units
    assert list(dict.fromkeys(unit.leaf for unit in units)) == names


def test_dependence_is_the_gradient_of_the_log_probability(network):
    network, params = network
    back = 4
    found = dependence(network, params, PIECES, back)
    eps, at = 1e-2, 0
    for piece in PIECES:
        read = np.concatenate([[piece.before], piece.ids])
        for t in [0, 1, 7, len(piece.ids) - 1]:
            expected = np.zeros(back)
            for k in range(1, min(back, t + 1) + 1):
                place = t + 1 - k
                slopes = [
                    (moved(network, params, read[: t + 1], place, i, eps)[piece.ids[t]]
                     - moved(network, params, read[: t + 1], place, i, -eps)[piece.ids[t]])
                    / (2 * eps)
                    for i in range(network.in_features)
                ]  # fmt: skip
                expected[k - 1] = np.linalg.norm(slopes)
            np.testing.assert_allclose(found[at + t], expected, rtol=0.03, atol=2e-3)
        at += len(piece.ids)


def moved(network, params, ids, place, i, by):
    """The log-probabilities after `ids`, if number i of what is read at a place is moved."""
    nudge = np.zeros((len(ids), 1, network.in_features), np.float32)
    nudge[place, 0, i] = by
    after = _nudged(network, len(ids))(params, jnp.asarray(ids, jnp.int32)[:, None], nudge)
    return np.asarray(after, np.float64)


@functools.cache
def _nudged(network, length):
    def after(params, ids, nudge):
        found = network.reading.find(network.initial_carry(params, 1), ids, None)
        lookup = None if found.rows is None else Lookup(found.rows)
        xs = network.embed(params, network.what_is_read(params, ids, lookup)) + nudge
        carry = fresh = network.cell.initial_carry(params["cell"], (1, network.in_features))
        for t in range(length):
            if found.begins is not None:
                carry = restart(found.begins[t], carry, fresh)
            carry, y = network.cell.step(params["cell"], carry, xs[t])
        return jax.nn.log_softmax(network.read_out(params, y))[0]

    return jax.jit(after)


def test_dependence_ends_where_a_document_begins():
    network, params = network_of(LSTMCell(4), separator=(5,))
    ids = np.array([1, 2, 3, 5, 3, 2])
    found = dependence(network, params, [Piece(0, ids)], 4) > 0
    # The carry starts afresh before the separator is read, which the next document sees.
    assert found.sum(axis=1).tolist() == [1, 2, 3, 4, 1, 2]


def test_gates_have_the_names_of_their_equations_and_are_counted():
    network, params = network_of(StackedCell((as_cell(LSTMCell(4)), as_cell(LSTMCell(3)))))
    uses = gate_uses(network, params, PIECES)
    assert [use.name for use in uses] == ["i", "f", "o", "i (2)", "f (2)", "o (2)"]
    assert [len(use.open) for use in uses] == [4, 4, 4, 3, 3, 3]
    # The forget gate of the first layer, by its equation.
    p, shares = params["cell"]["layer_0"], []
    for piece in PIECES:
        c = h = np.zeros(4)
        for symbol in [piece.before, *piece.ids]:
            x = np.eye(7)[symbol]
            i, f, g, o = (
                h @ p[f"W_{n}"]["kernel"] + p[f"W_{n}"]["bias"] + x @ p[f"U_{n}"]["kernel"]
                for n in "ifgo"
            )
            i, f, o = (1 / (1 + np.exp(-a)) for a in (i, f, o))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
            shares.append(f)
    f = np.array(shares)
    np.testing.assert_allclose(uses[1].closed, (f < CLOSED).mean(axis=0))
    np.testing.assert_allclose(uses[1].open, (f > OPEN).mean(axis=0))


def test_a_cell_without_gates_has_none():
    assert gate_uses(*network_of(nn.SimpleCell(4)), PIECES) == []


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 5))
def test_correlations_are_numpys(seed, length, columns):
    rng = np.random.default_rng(seed)
    units = rng.normal(size=(length, columns)) * 10.0 ** rng.integers(-8, 9, columns)
    others = rng.normal(size=(length, 2)) + rng.normal() * 100
    expected = np.corrcoef(units.T, others.T)[:columns, columns:]
    np.testing.assert_allclose(correlations(units, others), expected, atol=1e-9)


def test_a_constant_goes_with_nothing():
    units = np.full((9, 1), 0.1, np.float32)
    assert correlations(units, np.arange(9.0)[:, None]).tolist() == [[0.0]]


def test_a_unit_that_overflows_goes_with_nothing_and_spoils_nothing():
    rng = np.random.default_rng(7)
    units, feature = rng.normal(size=(60, 3)), rng.normal(size=(60, 1))
    good = correlations(units, feature)[:, 0]
    units[:, 1][[3, 9]] = np.inf, np.nan
    assert correlations(units, feature)[:, 0].tolist() == [good[0], 0, good[2]]
    assert np.isfinite(probe(units, feature)).all()


def test_chance_is_the_best_under_shifts_that_go_round():
    rng = np.random.default_rng(3)
    units, feature = rng.normal(size=(97, 4)), rng.normal(size=(97, 1))
    shifted = [np.roll(feature[:, 0], k * 97 // (SHIFTS + 1)) for k in range(1, SHIFTS + 1)]
    expected = max(abs(np.corrcoef(unit, other)[0, 1]) for unit in units.T for other in shifted)
    assert best_by_chance(units, feature)[0] == pytest.approx(expected, abs=1e-12)


def test_a_unit_is_above_chance_only_where_it_follows():
    rng = np.random.default_rng(4)
    feature = np.repeat(rng.integers(0, 2, 200), 10).astype(float)[:, None]
    units = np.concatenate(
        [feature + rng.normal(size=feature.shape), rng.normal(size=(2000, 9))], 1
    )
    assert abs(correlations(units, feature)[0, 0]) > 0.4 > 0.2 > best_by_chance(units, feature)[0]


def test_the_probe_is_ridge_regression_with_the_least_gcv():
    rng = np.random.default_rng(5)
    units = rng.normal(size=(120, 20)) @ rng.normal(size=(20, 20)) * rng.uniform(0.1, 9, 20) + 3
    feature = units @ rng.normal(size=20) + rng.normal(size=120) * 60
    Z = (units[:60] - units[:60].mean(0)) / units[:60].std(0)
    late = (units[60:] - units[:60].mean(0)) / units[:60].std(0)
    y = feature[:60] - feature[:60].mean()
    found = []
    for k in np.logspace(-8, 2, 21) * np.linalg.eigvalsh(Z.T @ Z)[-1]:
        inverse = np.linalg.inv(Z.T @ Z + k * np.eye(20))
        hat = Z @ inverse @ Z.T
        df = np.trace(hat) + 1
        gcv = ((y - hat @ y) ** 2).sum() / (60 - df) ** 2
        found.append((gcv, np.corrcoef(late @ (inverse @ Z.T @ y), feature[60:])[0, 1]))
    assert probe(units, feature[:, None])[0] == pytest.approx(min(found)[1], abs=1e-6)


def test_the_probe_learns_nothing_from_many_units_of_noise():
    rng = np.random.default_rng(6)
    found = probe(rng.normal(size=(200, 400)), rng.normal(size=(200, 3)))
    assert np.abs(found).max() < 0.35
    one_half = np.array([[0.0]] * 100 + [[1.0]] * 100)
    assert np.isnan(probe(rng.normal(size=(200, 4)), one_half)).all()


def test_features_by_hand():
    found = features('ACT 2\nANN:\n(so [he]) "ran"\n')
    of = {name: "".join("x" if on else "." for on in values) for name, values in found.items()}
    assert of["speaker or heading"] == "xxxxxxxxxxx" + "." * 16
    assert of["in quotation"] == "." * 21 + "xxxx" + ".."
    assert of["in brackets"] == "." * 11 + "xxxxxxxx" + "." * 8
    assert of["upper case"] == "xxx...xxx" + "." * 18
    assert of["digit"] == "....x" + "." * 22
    assert of["next is a space"] == "..x" + "." * 10 + "x" + "....." + "x" + "." * 7
    depth = found["depth of brackets"].astype(int).tolist()
    assert depth == [0] * 11 + [1, 1, 1, 1, 2, 2, 2, 1, 0] + [0] * 7
    assert found["position in line"].tolist() == [
        *range(1, 6),
        0,
        *range(1, 5),
        0,
        *range(1, 16),
        0,
    ]
    assert found["position in word"][:6].tolist() == [1, 2, 3, 0, 0, 0]
    np.testing.assert_allclose(
        np.expm1(found["time since a newline, log"]), found["position in line"], atol=1e-9
    )


some_text = st.text(st.sampled_from('ab([{)]}"“”\n :A1'), max_size=60)


@given(some_text)
def test_features_of_any_text(text):
    for name, values in features(text).items():
        assert len(values) == len(text) and (values >= 0).all(), name
        assert len(set(values.tolist())) > 1, name
    depth = depth_of_brackets(text)
    steps = np.diff([0, *depth])
    assert not depth or depth[-1] == 0
    for step, character in zip(steps, text, strict=True):
        assert step in ((0, 1) if character in "([{" else (0, -1) if character in ")]}" else (0,))


@given(some_text, some_text)
def test_no_quotation_reaches_over_a_blank_line(one, other):
    whole = in_quotation(f"{one}\n\n{other}")
    assert whole[len(one) + 2 :] == in_quotation(f"\n\n{other}")[2:]


def test_a_text_without_lines_has_no_position_in_one():
    assert not {"position in line", "time since a newline, log"} & set(features("ab cd" * 9))
    assert features("") == features("...") == {}
