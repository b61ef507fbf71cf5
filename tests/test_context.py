"""The context: which rows stand for the last characters, and updates that touch only those."""

import dataclasses
from collections import Counter
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core import RunConfig, load, resume, train
from charrnn_core.cell import as_cell
from charrnn_core.errors import OptionError
from charrnn_core.network.context import Context
from charrnn_core.network.documents import Documents
from charrnn_core.network.dropouts import Dropouts
from charrnn_core.network.network import Network
from charrnn_core.network.reading import Reading
from charrnn_core.training.batches import Batch, Streams, stack_batches
from charrnn_core.training.readings import count_readings, find_owners
from charrnn_core.training.rows import row_axes
from charrnn_core.training.update import Trainer

T, B, H, V, E = 3, 4, 5, 6, 7
BITS, ORDER = 3, 4


class Elman(nn.RNNCellBase):
    """``h' = tanh(W h + U x + b)``"""

    features: int = H

    @nn.compact
    def __call__(self, h, x):
        W = nn.Dense(self.features, name="W", bias_init=nn.initializers.normal(1.0))
        h = nn.tanh(W(h) + nn.Dense(self.features, use_bias=False, name="U")(x))
        return h, h

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], self.features))

    num_feature_axes = 1


def network_of(**settings):
    context = settings.pop("context", Context(ORDER, BITS))
    return Network(as_cell(Elman()), V, context=context, **settings)


def random_params(network, seed=0):
    params = network.compiled_init(jax.random.key(seed))
    shape = params["context"].shape
    return {**params, "context": jax.random.normal(jax.random.key(seed + 1), shape)}


def row_by_hand(ids, order, bits):
    """Return the row of the last `order` of these ids, None for one before the text."""
    h = 0
    for back in range(order):
        symbol = ids[-1 - back] if back < len(ids) and ids[-1 - back] is not None else -1
        h = ((h * 16777619 if back else 0) + symbol + 1) % 2**32
    return ((order - 2) << bits) + ((h * 2654435769) % 2**32 >> (32 - bits))


find = jax.jit(Reading.find, static_argnums=0)


@settings(deadline=None, max_examples=60)
@given(
    # Every length of a window takes operations that are compiled for it.
    stream=st.lists(st.integers(0, V - 1), min_size=12, max_size=12),
    begins=st.sets(st.integers(0, 11)),
    cut=st.sampled_from([1, 2, 6, 11]),
    order=st.integers(2, 5),
    separator=st.sampled_from([(), (1,), (1, 2)]),
)
def test_rows_are_those_of_the_last_ids_of_the_document(stream, begins, cut, order, separator):
    reading = Reading(Documents(separator), Context(order, 5))
    inputs = jnp.array(stream, jnp.int32)[:, None]
    reset = jnp.array([i in begins for i in range(len(stream))])[:, None]
    carry, found, starts = reading.begin((), 1), [], []
    for window in (slice(cut), slice(cut, None)):
        each = find(reading, carry, inputs[window], reset[window])
        carry = reading.join((), each.tails)
        found += np.asarray(each.rows)[:, 0].tolist()
        starts += np.asarray(each.begins)[:, 0].tolist()
    text, expected = [], []
    for symbol, start in zip(stream, starts, strict=True):
        text = [symbol] if start else [*text, symbol]
        expected.append([row_by_hand(text, k, 5) for k in range(2, order + 1)])
    assert found == expected


def test_the_network_adds_up_rows_like_a_naive_loop():
    network = network_of(embedding=E)
    params = random_params(network)
    inputs = jax.random.randint(jax.random.key(2), (T, B), 0, V)
    reset = jnp.array([[False] * B, [False, True, False, False], [False] * B])
    logits, _ = jax.jit(network.unroll)(params, network.initial_carry(params, B), inputs, reset)
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    W, U = p["cell"]["W"], p["cell"]["U"]
    for b in range(B):
        h, text = np.zeros(H), []
        for t in range(T):
            if reset[t, b]:
                h, text = np.zeros(H), []
            text.append(int(inputs[t, b]))
            x = p["embedding"][text[-1]].copy()
            for k in range(2, ORDER + 1):
                x += 40 / np.sqrt(E) * p["context"][row_by_hand(text, k, BITS)]
            h = np.tanh(h @ W["kernel"] + W["bias"] + x @ U["kernel"])
            expected = h @ p["readout"]["kernel"] + p["readout"]["bias"]
            np.testing.assert_allclose(logits[t, b], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("embedding", [0, E])
@pytest.mark.parametrize("mode", ["engine", "scan"])
@pytest.mark.parametrize("separator", [(), (1, 2)])
def test_steps_and_windows_agree(embedding, mode, separator):
    network = network_of(embedding=embedding, unroll_mode=mode, separator=separator)
    params = random_params(network)
    inputs = jax.random.randint(jax.random.key(2), (11, B), 0, V)
    carry = start = network.initial_carry(params, B)
    whole, _ = jax.jit(network.unroll)(params, start, inputs)
    step = jax.jit(network.stepper(params, start, B))
    for t, ids in enumerate(inputs):
        logits, carry = step(carry, ids)
        np.testing.assert_allclose(logits, whole[t], rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_row_is_that_of_finite_differences():
    network = network_of(embedding=E)
    params = random_params(network)
    inputs = jax.random.randint(jax.random.key(2), (T, B), 0, V)
    carry, table = network.initial_carry(params, B), params["context"]
    direction = jax.random.normal(jax.random.key(3), table.shape)

    @jax.jit
    def total(table):
        logits, _ = network.unroll({**params, "context": table}, carry, inputs)
        return jnp.sum(logits**2)

    step = 1e-3
    slope = (total(table + step * direction) - total(table - step * direction)) / (2 * step)
    np.testing.assert_allclose(jnp.vdot(jax.grad(total)(table), direction), slope, rtol=2e-2)


def test_dropped_rows_are_dropped_as_a_whole_and_the_mean_stays():
    rows, often = jnp.ones((50, 40, 3, 2)), jnp.full((50, 40, 3), 7.0)
    kept = np.asarray(Dropouts(context=0.25).keep_rows(jax.random.key(0), rows, often))
    assert set(np.unique(kept)) == {0.0, np.float32(1 / 0.75)}
    assert (kept[..., 0] == kept[..., 1]).all()
    assert abs(kept.mean() - 1) < 0.03


def test_a_network_drops_rows_while_training_and_not_without_knowing_which_are_rare():
    network = network_of(embedding=E, dropouts=Dropouts(context=0.5))
    params, inputs = random_params(network), jnp.zeros((T, B), jnp.int32)
    carry = network.initial_carry(params, B)
    used, noisy = (
        jax.jit(network.unroll)(params, carry, inputs, key=k)[0] for k in (None, jax.random.key(0))
    )
    assert np.abs(used - noisy).max() > 1e-3
    rare = network_of(embedding=E, dropouts=Dropouts(rare=2.0))
    with pytest.raises(ValueError, match="rare is 2"):
        rare.unroll(params, carry, inputs, key=jax.random.key(0))


def test_rows_that_are_rarely_read_are_dropped_more_often():
    rows = jnp.ones((400, 30, 4, 2))
    often = jnp.broadcast_to(jnp.array([1.0, 2.0, 3.0, 100.0]), rows.shape[:-1])
    for share, rare in ((0.0, 1.0), (0.25, 1.5)):
        dropouts = Dropouts(context=share, rare=rare)
        kept = np.asarray(dropouts.keep_rows(jax.random.key(0), rows, often))[..., 0]
        expected = [(1 - share) * max(0.0, 1 - rare / c) for c in (1, 2, 3, 100)]
        np.testing.assert_allclose((kept > 0).mean(axis=(0, 1)), expected, atol=0.02)
        means = [1.0 if keep > 0 else 0.0 for keep in expected]
        np.testing.assert_allclose(kept.mean(axis=(0, 1)), means, atol=0.1)


def mark_by_hand(h, bits):
    return max(1, (h * 2654435769 % 2**32) >> (24 - bits) & 255)


def hash_by_hand(ids, order):
    h = 0
    for back in range(order):
        symbol = ids[-1 - back] if back < len(ids) else -1
        h = ((h * 16777619 if back else 0) + symbol + 1) % 2**32
    return h


def test_rows_belong_to_the_commonest_and_others_read_the_last():
    network = network_of(context=Context(ORDER, 4))
    ids = np.random.default_rng(0).integers(V, size=900).astype(np.int32)
    text = ids.tolist()
    counts = [Counter() for _ in range(ORDER + 1)]
    for t in range(len(text)):
        for k in range(2, ORDER + 1):
            counts[k][hash_by_hand(text[: t + 1], k)] += 1
    owners = find_owners(network, ids)
    owned = dataclasses.replace(network.context, owners=owners)
    table = np.frombuffer(owners, np.uint8).reshape(ORDER - 1, 16)
    for k in range(2, ORDER + 1):
        for row in range(16):
            by_mark = Counter()
            for h, count in counts[k].items():
                if (h * 2654435769 % 2**32) >> 28 == row:
                    by_mark[mark_by_hand(h, 4)] += count
            most = max(by_mark.values(), default=0)
            mark = int(table[k - 2, row])
            if row == 15 or most < 4:
                assert mark == 0
            else:
                assert by_mark[mark] == most
    _, tail = owned.split(owned.begin((), 1))
    rows, _ = owned.find(tail, jnp.array(text)[:, None], None)
    for t, found in enumerate(np.asarray(rows)[:, 0].tolist()):
        for k in range(2, ORDER + 1):
            h = hash_by_hand(text[: t + 1], k)
            row = (h * 2654435769 % 2**32) >> 28
            is_owner = table[k - 2, row] == mark_by_hand(h, 4)
            assert found[k - 2] == (k - 2) * 16 + (row if is_owner else 15)


def test_every_row_needs_an_owner_or_none_has_one():
    with pytest.raises(OptionError, match="has 16 rows, but the trained one has 3; leave"):
        Context(2, 4, owners=b"abc")


@pytest.mark.slow
def test_a_new_training_cannot_have_another_context(charrnn, text_file):
    settings = ["--source", text_file, "--cell", "elman:4", "--batch", 4, "--window", 8]
    started = charrnn("run", *settings, "--characters", 20_000, "--context-bits", 5, "--out", "a")
    assert started.returncode == 0
    refused = charrnn("run", *settings, "--init-from", "a", "--context-bits", 6, "--out", "b")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "leave context and context_bits as they are" in refused.stderr


@pytest.mark.parametrize(("characters", "owned"), [(3000, False), (20_000, True)])
def test_a_model_keeps_its_owners(tmp_path, text_file, characters, owned):
    config = RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=8, characters=characters,
        context=3, context_bits=5, observers="jsonl", sample_length=5, shards=1,
    )  # fmt: skip
    train(config, out=tmp_path / "a", note=lambda line: None)
    model = load(tmp_path / "a", note=lambda line: None)
    context = model.network.context
    assert len(context.owners) == (context.rows if owned else 0)
    resume(
        tmp_path / "a",
        budget={"characters": max(15_000, characters + 2000)},
        note=lambda line: None,
    )
    assert load(tmp_path / "a", note=lambda line: None).network.context == context
    tuned = dataclasses.replace(config, init_from=str(tmp_path / "a"), characters=20_000)
    train(tuned, out=tmp_path / "b", note=lambda line: None)
    assert load(tmp_path / "b", note=lambda line: None).network.context == context


def test_readings_are_counted_like_a_naive_loop():
    network = network_of(separator=(1, 2))
    ids = np.random.default_rng(0).integers(V, size=3000).astype(np.int32)
    counts, text = np.zeros(network.context.rows), []
    for before, symbol in pairwise([-1, *ids.tolist()]):
        text = [symbol] if (before, symbol) == (1, 2) else [*text, symbol]
        for k in range(2, ORDER + 1):
            counts[row_by_hand(text, k, BITS)] += 1
    np.testing.assert_array_equal(count_readings(network, ids), np.maximum(counts, 1))


@pytest.mark.slow
def test_what_is_always_dropped_is_not_learnt():
    readings = np.full(8, 3.0, np.float32)
    for rare, learns in ((3.0, False), (1.0, True)):
        _, _, _, after = trained(
            optax.adam(0.1), dropouts=Dropouts(rare=rare), updates=2, readings=readings
        )
        assert bool(jnp.any(after.params["context"] != 0)) == learns


def loss(logits, targets, weights):
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.sum(nats * weights) / jnp.sum(weights)


def trained(optimizer, updates=5, streams=2, bits=2, dropouts=None, **trainer):
    """Return the states before and after some updates, and the rows each of them read."""
    network = network_of(embedding=E, context=Context(3, bits), dropouts=dropouts or Dropouts())
    text = np.random.default_rng(0).integers(V, size=200).astype(np.int32)
    trainer = Trainer(network, loss, lambda steps: optimizer, streams=streams, **trainer)
    batching = Streams(text, streams, T)
    before = trainer.init()
    program = trainer.compile(updates, T)
    after, _ = program(
        before, stack_batches(batching, 0, updates, updates), np.int32(updates), np.int32(updates)
    )
    return network, batching, before, after


def by_dense_updates(optimizer, network, batching, state, updates=5):
    """Train with a table that is a parameter like any other."""
    params, opt_state, carry = state.params, optimizer.init(state.params), state.carry
    read = np.zeros(network.context.rows, int)

    def objective(params, carry, batch):
        logits, carry = network.unroll(params, carry, batch.inputs)
        return loss(logits, batch.targets, batch.weights), carry

    @jax.jit
    def update(params, opt_state, carry, batch):
        rows = network.rows_read(carry, batch.inputs)
        grads, carry = jax.grad(objective, has_aux=True)(params, carry, batch)
        with jax.numpy_dtype_promotion("standard"):
            changes, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, changes), opt_state, carry, rows

    for i in range(updates):
        batch = Batch(*map(jnp.asarray, batching.batch(0, i)))
        params, opt_state, carry, rows = update(params, opt_state, carry, batch)
        read[np.unique(rows)] += 1
    return params, read


@pytest.mark.parametrize(
    "optimizer",
    [optax.sgd(0.5), optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.5))],
    ids=["sgd", "clipped"],
)
def test_what_has_no_memory_is_exactly_dense(optimizer):
    network, batching, before, after = trained(optimizer)
    dense, _ = by_dense_updates(optimizer, network, batching, before)
    for one, other in zip(*map(jax.tree.leaves, (after.params, dense)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_rows_that_are_not_read_keep_their_values_and_moments():
    optimizer = optax.adam(0.1)
    network, batching, before, after = trained(optimizer, updates=2, bits=6)
    _, read = by_dense_updates(optimizer, network, batching, before, updates=2)
    moments = after.opt_state[0]
    for table in (after.params["context"], moments.mu["context"], moments.nu["context"]):
        changed = np.abs(np.asarray(table)).max(axis=1) > 0
        np.testing.assert_array_equal(changed, read > 0)


def test_a_row_read_by_every_update_is_as_in_a_dense_table_under_adam():
    optimizer = optax.adam(0.1)
    settings = {"updates": 4, "streams": 8, "bits": 1}
    network, batching, before, after = trained(optimizer, **settings)
    dense, read = by_dense_updates(optimizer, network, batching, before, updates=4)
    assert (read == 4).all()
    np.testing.assert_allclose(after.params["context"], dense["context"], rtol=1e-3, atol=1e-5)


def test_the_first_change_of_a_row_is_a_whole_step_of_adam():
    network, batching, before, after = trained(optax.adam(0.1), updates=1, bits=6)
    del network, batching, before
    sizes = np.unique(np.round(np.abs(np.asarray(after.params["context"])), 3))
    assert sizes.max() == np.float32(0.1)


@pytest.mark.parametrize(
    "optimizer", [optax.lion(0.1), optax.rmsprop(0.1), optax.adafactor(0.1), optax.adagrad(0.1)]
)
def test_optimizers_of_other_kinds_touch_only_those_rows(optimizer):
    network, batching, before, after = trained(optimizer, updates=2, bits=6)
    _, read = by_dense_updates(optax.sgd(0.1), network, batching, before, updates=2)
    changed = np.abs(np.asarray(after.params["context"])).max(axis=1) > 0
    assert not (changed & (read == 0)).any() and changed.any()


def test_an_optimizer_that_mixes_rows_is_refused():
    def init(params):
        return {"P": jnp.zeros((len(params["context"]),) * 2)}

    optimizer = optax.GradientTransformation(init, lambda *args: args[:2])
    with pytest.raises(Exception, match="--context 0"):
        params = {"context": jnp.zeros((8, 3))}
        row_axes(optimizer, params, optimizer.init(params))
