"""The network around a cell: dropout, a tied readout, and documents that start afresh."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.cell import as_cell
from charrnn_core.errors import OptionError
from charrnn_core.network.network import Dropouts, Network
from charrnn_core.noise import dropout, variational, zoneout

T, B, H, V = 3, 4, 5, 6


def cell(**options):
    import flax.linen as nn

    class Noisy(nn.RNNCellBase):
        """``h' = zoneout(tanh(W dropout(h) + U x))``"""

        features: int = H
        zone: float = 0.0
        drop: float = 0.0

        @nn.compact
        def __call__(self, h, x):
            W = nn.Dense(self.features, name="W")
            U = nn.Dense(self.features, use_bias=False, name="U")
            new = nn.tanh(W(variational(self, self.drop, h)) + U(x))
            h = zoneout(self, self.zone, h, new)
            return h, h

    return as_cell(Noisy(**options))


def made(network, batch=B, steps=T, seed=0):
    params = network.compiled_init(jax.random.key(seed))
    inputs = jax.random.randint(jax.random.key(seed + 1), (steps, batch), 0, V)
    return params, network.initial_carry(params, batch), inputs


@pytest.mark.parametrize("options", [{"zone": 0.4}, {"drop": 0.3}, {"zone": 0.4, "drop": 0.3}])
def test_the_engine_draws_what_a_plain_scan_draws(options):
    key = jax.random.key(7)
    results = []
    for mode in ("engine", "scan"):
        network = Network(
            cell(**options), V, embedding=7, dropouts=Dropouts(0.2, 0.3), unroll_mode=mode
        )
        params, carry, inputs = made(network)

        def total(params, network=network, carry=carry, inputs=inputs):
            logits, after = network.unroll(params, carry, inputs, key=key)
            return jnp.sum(logits**2), (logits, after)

        grads, made_of_it = jax.jit(jax.grad(total, has_aux=True))(params)
        results.append((grads, made_of_it))
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-5)


def test_noise_depends_on_its_key_and_is_off_without_one():
    network = Network(cell(zone=0.4, drop=0.3), V, dropouts=Dropouts(0.2, 0.3))
    params, carry, inputs = made(network)
    unroll = jax.jit(network.unroll)
    quiet, _ = unroll(params, carry, inputs)
    again, _ = unroll(params, carry, inputs)
    one, other = (unroll(params, carry, inputs, key=jax.random.key(n))[0] for n in (1, 2))
    np.testing.assert_array_equal(quiet, again)
    assert np.abs(one - other).max() > 1e-3 < np.abs(one - quiet).max()


def test_zoneout_of_everything_keeps_the_state():
    network = Network(cell(zone=1.0), V)
    params, carry, inputs = made(network)
    for key in (None, jax.random.key(3)):
        _, after = jax.jit(network.unroll)(params, carry + 0.25, inputs, key=key)
        np.testing.assert_array_equal(after, carry + 0.25)


def test_a_variational_mask_holds_for_a_window_and_a_plain_one_for_a_step():
    for same in (False, True):
        network = Network(cell(), V, dropouts=Dropouts(output=0.5, variational=same))
        ys = jnp.full((40, B, H), 3.0)
        dropped = np.asarray(network.dropouts.drop(jax.random.key(0), 0.5, ys))
        assert set(np.unique(dropped)) == {0.0, 6.0}
        assert (dropped == dropped[:1]).all() == same
        assert len(np.unique(dropped.reshape(40, B, H)[0], axis=0)) > 1  # rows differ


def test_the_input_is_dropped_by_step_or_by_window():
    def seen(same):
        """The inputs of a cell whose state adds them up."""

        class Adding:
            def init(self, key, in_features):
                return {"W": jnp.eye(in_features)}

            def initial_carry(self, params, input_shape):
                return jnp.zeros(input_shape)

            def step(self, params, carry, x):
                return carry, x @ params["W"]

        network = Network(Adding(), V, embedding=50, dropouts=Dropouts(0.5, variational=same))
        params, carry, _ = made(network)
        params["embedding"] = jnp.full((V, 50), 3.0)
        params["readout"]["kernel"] = jnp.zeros((50, V))
        step, xs = network._noisy(jax.random.key(1), jnp.zeros((T, B), jnp.int32))
        return np.stack(
            [step(params, carry, jax.tree.map(lambda leaf, t=t: leaf[t], xs))[1] for t in range(T)]
        )

    for same in (False, True):
        xs = seen(same)
        assert set(np.unique(xs)) == {0.0, 6.0} and 0.4 < (xs > 0).mean() < 0.6
        assert (xs == xs[:1]).all() == same


def test_the_input_and_the_layers_of_a_stack_are_dropped_apart():
    from charrnn_stacked.cell import StackedCell

    class Same:
        def init(self, key, in_features):
            return {}

        def initial_carry(self, params, input_shape):
            return jnp.zeros(input_shape)

        def step(self, params, carry, x):
            return carry, x

    stack = StackedCell((Same(), Same()), dropout=0.5)
    network = Network(stack, V, embedding=200, dropouts=Dropouts(0.5))
    params, carry, _ = made(network)
    params["embedding"] = jnp.ones((V, 200))
    step, (ids, bits) = network._noisy(jax.random.key(1), jnp.zeros((T, B), jnp.int32))
    _, ys = step(params, carry, (ids[0], bits[0]))
    assert 0.15 < (ys > 0).mean() < 0.35  # a half of a half


def test_dropout_keeps_the_mean():
    value = jax.random.normal(jax.random.key(0), (H,))
    keys = jax.random.split(jax.random.key(1), 4000)
    mean = jax.vmap(lambda key: dropout(key, 0.3, value))(keys).mean(axis=0)
    np.testing.assert_allclose(mean, value, rtol=0, atol=0.05)


def test_a_tied_readout_is_the_embedding_after_a_projection():
    network = Network(cell(), V, embedding=7, tied=True)
    params, carry, inputs = made(network)
    assert params["readout"]["kernel"].shape == (H, 7)
    logits, _ = jax.jit(network.unroll)(params, carry, inputs)
    h, expected = np.zeros((B, H)), []
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    W, U, E = p["cell"]["W"], p["cell"]["U"], p["embedding"]
    for x in np.asarray(inputs):
        h = np.tanh(h @ W["kernel"] + W["bias"] + E[x] @ U["kernel"])
        expected.append(h @ p["readout"]["kernel"] @ E.T + p["readout"]["bias"])
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_a_tied_readout_needs_an_embedding():
    with pytest.raises(OptionError, match="tied readout needs an embedding"):
        Network(cell(), V, tied=True)


@pytest.mark.parametrize("separator", [(2,), (2, 3), (2, 2), (1, 2, 1)])
def test_a_document_begins_with_the_last_of_its_separator_alone(separator):
    """Against a plain loop that restarts, and one window against pieces and single steps."""
    network = Network(cell(), V, separator=separator)
    plain = Network(cell(), V)
    rng = np.random.default_rng(len(separator))
    inputs = rng.integers(0, V, (40, B)).astype(np.int32)
    for row in range(B):  # there are some separators for certain
        at = 5 + 3 * row
        inputs[at : at + len(separator), row] = separator
    params, carry, _ = made(network)
    unroll, plain_step = jax.jit(network.unroll), jax.jit(plain.step)
    logits, end = unroll(params, carry, jnp.asarray(inputs))

    expected = np.zeros((40, B, V), np.float32)
    for row in range(B):
        state = plain.initial_carry(params, 1)
        for t in range(40):
            tail = inputs[max(0, t + 1 - len(separator)) : t + 1, row]
            if tuple(tail.tolist()) == separator:
                state = plain.initial_carry(params, 1)
            row_logits, state = plain_step(params, state, jnp.asarray(inputs[t, row : row + 1]))
            expected[t, row] = row_logits[0]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)

    halves, state = [], carry
    for half in (inputs[:7], inputs[7:]):
        some, state = unroll(params, state, jnp.asarray(half))
        halves.append(some)
    np.testing.assert_allclose(np.concatenate(halves), logits, rtol=1e-5, atol=1e-5)
    state, step = carry, jax.jit(network.stepper(params, carry, B))
    for t in range(40):
        row_logits, state = step(state, jnp.asarray(inputs[t]))
        np.testing.assert_allclose(row_logits, logits[t], rtol=1e-5, atol=1e-5)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(end), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("separator", [(2, 2), (1, 2, 1)])
def test_a_separator_does_not_reach_over_the_beginning_of_a_text(separator):
    network = Network(cell(), V, separator=separator)
    params, carry, _ = made(network)
    inputs = np.random.default_rng(0).choice(sorted(set(separator)), (12, B)).astype(np.int32)
    reset = np.zeros((12, B), bool)
    reset[[3, 4, 6]] = True
    logits, end = jax.jit(network.unroll)(params, carry, jnp.asarray(inputs), jnp.asarray(reset))

    fresh, pieces = network.initial_carry(params, B), []
    for piece in np.split(inputs, [3, 4, 6]):
        some, after = jax.jit(network.unroll)(params, fresh, jnp.asarray(piece))
        pieces.append(some)
    np.testing.assert_allclose(logits, np.concatenate(pieces), rtol=1e-5, atol=1e-6)
    for one, other in zip(jax.tree.leaves(end), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_way_of_the_cell_over_a_window_is_used_and_its_input_dropped():
    """Unless the engine or a scan is asked for; with resets it gives what the step gives."""

    class Adding:
        def init(self, key, in_features):
            return {"W": jnp.eye(in_features)}

        def initial_carry(self, params, input_shape):
            return jnp.zeros(input_shape)

        def step(self, params, h, x):
            h = h + x @ params["W"]
            return h, h

        def sequence(self, params, carry, xs, reset):
            called.append(xs)
            return jax.lax.scan(
                lambda h, item: self.step(params, jnp.where(item[1][:, None], 0.0, h), item[0]),
                carry, (xs, reset),
            )  # fmt: skip

    called = []
    dropouts = Dropouts(input=0.5)
    own, plain = (Network(Adding(), V, dropouts=dropouts, unroll_mode=m) for m in ("auto", "scan"))
    params, carry, inputs = made(own)
    reset = jnp.zeros(inputs.shape, bool).at[2, 1].set(True)
    expected = plain.unroll(params, carry, inputs, reset)
    assert not called and own.choose(B, 4).own and not plain.choose(B, 4).own
    for got, wanted in zip(own.unroll(params, carry, inputs, reset), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    own.unroll(params, carry, inputs, reset, jax.random.key(0))
    whole, dropped = map(np.asarray, called)
    assert set(np.unique(whole)) == {0.0, 1.0} and set(np.unique(dropped)) == {0.0, 2.0}
    assert 0 < (dropped == 0).sum() - (whole == 0).sum() < whole.sum()
