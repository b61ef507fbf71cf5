"""Counts: which row is found for what was read, and models that have some."""

import dataclasses
import shutil
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import RunConfig, evaluate, generate, load, resume, train
from charrnn_core.cell import as_cell
from charrnn_core.errors import CheckpointError
from charrnn_core.evaluation.dynamic import Dynamic
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.network.context import Context
from charrnn_core.network.counts import COUNTS, Counts, with_counts, without_counts
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import to_arrays
from charrnn_core.text.split import Piece
from charrnn_core.training import counting
from charrnn_core.training.counting import count_text
from tests.test_kneser_ney import Naive, char_strings, random_text

T, B, H, V, ORDER = 11, 3, 4, 5, 4
LETTERS = bytes([1, 1, 0, 1, 0])


def network_of(separator=(), order=ORDER, **settings):
    counts = Counts(order, LETTERS)
    return Network(as_cell(nn.GRUCell(H)), V, counts=counts, separator=separator, **settings)


def all_strings(text, order):
    """The strings that end at each place of one text or document, as tuples."""
    found, word, last, before = [], (), (), ()
    for c, characters in zip(text.tolist(), char_strings(text, order), strict=True):
        if LETTERS[c]:
            word = (*word, c)
        elif word:
            word, last, before = (), word, last
        words = [(word,), (word, last), (word, last, before)]
        found.append([*characters, *((characters[-1], *each) for each in words)])
    return found


class ByHand:
    """Dictionaries of what follows the strings of a text."""

    def __init__(self, training, order):
        self.order = order
        self.naive = Naive(all_strings(training, order)[:-1], training[1:].tolist())

    def mixed(self, logits, text):
        """Mix logits of one text or document, float[T,V]."""
        log_p = np.log([self.naive.p(strings) for strings in all_strings(text, self.order)])
        return 0.5 * np.asarray(logits, np.float64) + 0.5 * log_p


@pytest.fixture(scope="module")
def training():
    return random_text(900, 0).astype(np.int32)


@pytest.mark.parametrize(
    ("order", "context"), [(4, Context()), (4, Context(3, 4)), (3, Context()), (2, Context()),
                           (1, Context())],
)  # fmt: skip
def test_what_is_read_is_mixed_with_the_counts_of_its_longest_strings(training, order, context):
    network, by_hand = network_of(order=order, context=context), ByHand(training, order)
    learnt = network.compiled_init(jax.random.key(0))
    params = with_counts(learnt, count_text(network, training))
    unroll = jax.jit(network.unroll)
    texts = np.stack([random_text(2 * T, seed) for seed in range(1, B + 1)], axis=1)
    carry = network.initial_carry(params, B)
    alone, _ = unroll(learnt, carry, jnp.asarray(texts))
    halves = []
    for half in (texts[:T], texts[T:]):
        logits, carry = unroll(params, carry, jnp.asarray(half))
        halves.append(logits)
    whole = np.concatenate(halves)
    for b in range(B):
        away = np.abs(whole[:, b] - by_hand.mixed(alone[:, b], texts[:, b])).max(axis=-1)
        # Half a step, but for a string that has the place and the mark of another one.
        assert np.sum(away > 0.5 / 32 + 1e-4) <= 1
    start = network.initial_carry(params, B)
    one = jax.jit(lambda carry, ids: network.step(params, carry, ids))
    for step in (one, jax.jit(network.stepper(params, start, B))):
        carry = start
        for t in range(2 * T):
            logits, carry = step(carry, jnp.asarray(texts[t]))
            np.testing.assert_allclose(logits, whole[t], rtol=1e-4, atol=1e-4)


def test_no_string_reaches_over_the_beginning_of_a_document(training):
    network, text = network_of(separator=(2,)), random_text(40, 1)
    params = with_counts(network.compiled_init(jax.random.key(0)), count_text(network, training))
    unroll = jax.jit(network.unroll)
    begins = np.flatnonzero(text == 2)
    assert len(begins) > 3
    logits, _ = unroll(params, network.initial_carry(params, 1), jnp.asarray(text)[:, None])
    ends = [*begins[1:], len(text)]
    longest = max(end - first for first, end in zip(begins, ends, strict=True))
    for first, end in zip(begins, ends, strict=True):  # each filled up, to be of one shape
        some = np.resize(text[first:end], longest)[:, None]
        own, _ = unroll(params, network.initial_carry(params, 1), jnp.asarray(some))
        np.testing.assert_allclose(logits[first:end], own[: end - first], rtol=1e-4, atol=1e-4)
    reset = jnp.asarray(np.isin(np.arange(40), begins))[:, None]
    plain = network_of()
    again, _ = jax.jit(plain.unroll)(
        params, plain.initial_carry(params, 1), jnp.asarray(text)[:, None], reset
    )
    np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-4)


def test_nearly_all_strings_find_their_own_rows(training):
    """Of 12 bits of mark and 4 places, and of more strings than have a place."""
    network = network_of(order=6)
    table = count_text(network, training)
    ids = jnp.asarray(training)[:, None]
    memory = network.counts.begin((), 1)[1]
    hashes, _ = network.counts.hashes(memory, ids, None)
    exact = ByHand(training, 6).mixed(np.zeros((900, V)), training)
    found = np.asarray(network.counts.mixed(jnp.zeros((900, 1, V)), table, ids, hashes))[:, 0]
    assert np.mean(np.abs(found - exact).max(axis=1) > 0.5 / 32 + 1e-4) < 0.02
    few = table._replace(index=table.index[:: len(table.index) // 16])
    crowded = np.asarray(network.counts.mixed(jnp.zeros((900, 1, V)), few, ids, hashes))[:, 0]
    assert np.isfinite(crowded).all()


def test_a_network_that_learns_does_not_see_them(training):
    network = network_of()
    params = network.compiled_init(jax.random.key(0))
    ids = jnp.asarray(random_text(T, 1))[:, None]
    plain = dataclasses.replace(network, counts=Counts())
    one, _ = jax.jit(network.unroll)(params, network.initial_carry(params, 1), ids)
    other, _ = jax.jit(plain.unroll)(params, plain.initial_carry(params, 1), ids)
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_dynamic_evaluation_scores_the_mixture_and_teaches_the_network(training):
    network, text = network_of(), random_text(50, 1)
    learnt = network.compiled_init(jax.random.key(0))
    params = with_counts(learnt, count_text(network, training))
    pieces = [Piece(int(training[-1]), text)]
    # Nothing changes in the first window.
    alone, mixed = (
        np.concatenate([*Dynamic(network, p, training, rate=0.1).log_p(pieces)])[:20]
        for p in (learnt, params)
    )
    read = jnp.asarray([training[-1], *text[:-1]])[:, None]
    logits, _ = jax.jit(network.unroll)(params, network.initial_carry(params, 1), read)
    np.testing.assert_allclose(mixed, jax.nn.log_softmax(logits[:20, 0]), rtol=1e-4, atol=1e-4)
    assert np.abs(mixed - alone).max() > 0.1


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:8", batch=4, window=16, characters=6000,
        context=3, counts=4, observers="jsonl", sample_length=5, shards=1, patience=0,
    )  # fmt: skip


def quiet(line):
    pass


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    return train(config, out=tmp_path_factory.mktemp("counts") / "run", note=quiet)


def test_a_model_has_the_counts_of_its_text(trained, config, tmp_path):
    model = trained.model
    ids = model.alphabet.encode(Path(config.source.argument).read_text())
    table = count_text(model.network, ids[: len(ids) * 9 // 10])
    for name, array in to_arrays(table).items():
        np.testing.assert_array_equal(getattr(model.params[COUNTS], name), array)
    alone = dataclasses.replace(model, params=without_counts(model.params))
    scores = [evaluate(m, baselines=False, note=quiet).nats_per_char for m in (model, alone)]
    assert scores[0] == pytest.approx(trained.held_out.nats_per_char, rel=1e-5)
    assert scores[0] < scores[1] - 0.1
    assert model.parameters == alone.parameters
    assert generate(model, "Ann", 40) != generate(alone, "Ann", 40)


def test_what_it_learns_does_not_depend_on_them(trained, config, tmp_path):
    other = train(dataclasses.replace(config, counts=0), out=tmp_path / "a", note=quiet)
    assert COUNTS not in other.model.params
    for one, two in zip(
        jax.tree.leaves(without_counts(load(trained.directory, last=True).params)),
        jax.tree.leaves(load(tmp_path / "a", last=True).params),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_a_resumed_run_keeps_them_and_counts_what_is_lost(trained, tmp_path):
    shutil.copytree(trained.directory, tmp_path / "a")
    more = resume(tmp_path / "a", budget={"characters": 7000}, note=quiet)
    for file in (tmp_path / "a" / "checkpoints").iterdir():
        checkpoint = load_checkpoint(file)
        arrays = {k: v for k, v in checkpoint.arrays.items() if not k.startswith("counts/")}
        save_checkpoint(file, checkpoint.table, arrays)
    assert COUNTS not in load(tmp_path / "a").params  # of a checkpoint without them
    again = resume(tmp_path / "a", budget={"characters": 8000}, note=quiet)
    for one, two in zip(
        *(jax.tree.leaves(r.model.params[COUNTS]) for r in (more, again)), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_run_from_before_there_were_counts_is_resumed(config, tmp_path):
    train(dataclasses.replace(config, counts=0), out=tmp_path / "a", note=quiet)
    settings = tmp_path / "a" / "config.toml"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("counts")))
    for file in (tmp_path / "a" / "checkpoints").iterdir():
        checkpoint = load_checkpoint(file)
        del checkpoint.table["config"]["counts"]
        save_checkpoint(file, checkpoint.table, checkpoint.arrays)
    more = resume(tmp_path / "a", budget={"characters": 7000}, note=quiet)
    assert more.model.config.counts == 0 and COUNTS not in more.model.params


def test_another_order_is_counted_again(trained, tmp_path):
    shutil.copytree(trained.directory, tmp_path / "a")
    settings = tmp_path / "a" / "config.toml"
    settings.write_text(settings.read_text().replace("counts = 4", "counts = 2"))
    more = resume(tmp_path / "a", budget={"characters": 7000}, allow=["config"], note=quiet)
    before, after = (len(m.params[COUNTS].rows) for m in (trained.model, more.model))
    assert more.model.config.counts == 2 and after != before


def test_a_changed_text_is_counted_again(config, tmp_path, small_text):
    source = tmp_path / "mine.txt"
    source.write_text(small_text)
    mine = dataclasses.replace(config, source=str(source))
    train(mine, out=tmp_path / "a", note=quiet)
    source.write_text(small_text[::-1])
    more = resume(
        tmp_path / "a", budget={"characters": 7000}, allow=["text"], source=str(source), note=quiet
    )
    ids = more.model.alphabet.encode(small_text[::-1])
    table = count_text(more.model.network, ids[: len(ids) * 9 // 10])
    np.testing.assert_array_equal(more.model.params[COUNTS].rows, table.rows)


def test_without_memory_for_counts_the_network_is_alone(config, tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(counting, "count_text", fail)
    notes = []
    result = train(config, out=tmp_path / "a", note=notes.append)
    assert COUNTS not in result.model.params and result.reason == "finished"
    assert any("too little memory to count the text" in line for line in notes)


def test_a_new_training_counts_its_own_text(trained, config, tmp_path, small_text):
    source = tmp_path / "other.txt"
    source.write_text(small_text[::-1])
    other = dataclasses.replace(
        config, source=str(source), init_from=str(trained.directory), characters=500
    )
    result = train(other, out=tmp_path / "a", note=quiet)
    ids = result.model.alphabet.encode(small_text[::-1])
    table = count_text(result.model.network, ids[: len(ids) * 9 // 10])
    np.testing.assert_array_equal(result.model.params[COUNTS].rows, table.rows)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("index", np.zeros((3, 4), np.uint32)),
        ("index", np.zeros((4, 4), np.int32)),
        ("rows", np.zeros((4, 3), np.uint8)),
        ("rows", np.zeros(4, np.uint8)),
        ("weights", np.zeros(4, np.float32)),
        ("weights", np.full(2, np.nan, np.float32)),
        ("index", np.full((4, 4), 2**20 - 1, np.uint32)),
        ("weights", None),
    ],
)
def test_a_damaged_table_gets_one_line(trained, tmp_path, charrnn, name, array):
    shutil.copytree(trained.directory, tmp_path / "a")
    for file in (tmp_path / "a" / "checkpoints").iterdir():
        checkpoint = load_checkpoint(file)
        arrays = {**checkpoint.arrays, f"counts/{name}": array}
        arrays = {path: kept for path, kept in arrays.items() if kept is not None}
        save_checkpoint(file, checkpoint.table, arrays)
    with pytest.raises(CheckpointError, match="no usable table of counts"):
        load(tmp_path / "a")
    done = charrnn("sample", tmp_path / "a", "--length", 3)
    assert done.returncode == 1 and "no usable table of counts" in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_table_for_a_huge_alphabet_would_take_too_much(charrnn, tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 6000))) * 2
    (tmp_path / "many.txt").write_text(text, encoding="utf-8")
    done = charrnn(
        "run", "--source", tmp_path / "many.txt", "--cell", "elman:4", "--characters", 300,
        "--batch", 2, "--window", 8, "--sample-length", 1, "--out", "a",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note: counts is 0 instead of 4: 6000 symbols are too many" in done.stderr
    assert COUNTS not in load(tmp_path / "a").params
