"""Compression: what comes back is what went in, or an error; and it takes what the model says."""

import dataclasses
import math
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn_core import RunConfig, load, train
from charrnn_core.compression import archive, blocks, identity, learner
from charrnn_core.compression.archive import compress, decompress
from charrnn_core.compression.coder import START, Intervals, encode
from charrnn_core.compression.container import Reader
from charrnn_core.compression.distribution import (
    MOST_SYMBOLS,
    TOTAL,
    starts_of,
    sums_before,
    symbol_at,
)
from charrnn_core.compression.escapes import join, split
from charrnn_core.compression.learner import Learner
from charrnn_core.compression.predictor import ModelPredictor
from charrnn_core.compression.streams import Streams
from charrnn_core.errors import CompressionError
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.network.counts import COUNTS
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.text.split import Piece
from tests.resuming import quiet

CONFIG = RunConfig(
    cell="gru:8", embedding=4, context=2, counts=2, characters=3000, batch=4, window=8,
    observers=(), shards=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, text_file):
    """A run with everything that a default network has."""
    out = tmp_path_factory.mktemp("compressing") / "run"
    train(dataclasses.replace(CONFIG, source=str(text_file)), out=out, note=quiet)
    return out


@pytest.fixture(scope="module")
def model(run):
    model = load(run, note=quiet)
    assert COUNTS in model.params and model.network.context.order == 2
    return model


@pytest.fixture(scope="module")
def text(small_text):
    return small_text.encode()


@settings(max_examples=25)
@given(st.text(st.sampled_from("Ann sees\n")) | st.text() | st.binary())
@example("")
@example("Ann and Bob")
@example("\ud800")
def test_any_bytes_come_back(model, data):
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    assert decompress(compress(data, model, verify=False), model) == data


def test_a_text_becomes_shorter_and_random_bytes_hardly_longer(model, text):
    written = compress(text, model)
    assert len(written) < len(text) / 2 and decompress(written, model) == text
    noise = np.random.default_rng(0).bytes(1000)
    stored = compress(noise, model)
    assert len(stored) < 1000 + 60 and decompress(stored, model) == noise


def test_many_streams_and_blocks(model, text, monkeypatch):
    """The last streams are a symbol shorter, and a block ends with each call."""
    cut = staticmethod(lambda symbols: Streams(4, symbols))
    monkeypatch.setattr(ModelPredictor, "streams", cut)
    monkeypatch.setattr(blocks, "_MOST_STEPS", 2048)
    data = (text * 3)[:9001]
    assert len(data) % 4 == 1
    shown: list[float] = []
    written = compress(data, model, progress=shown.append)
    assert decompress(written, model) == data
    assert shown == sorted(shown) and shown[-1] == 1


def bits_by_the_model(model, data: bytes) -> float:
    """What the model says of a text that is read in one stream, by another program."""
    ids = model.alphabet.encode(data.decode())
    before = int(model.alphabet.encode("\n")[0])
    scored = Scorer(model.network, streams=1)(model.params, [Piece(before, ids)])
    return sum(float(nats.sum(dtype=np.float64)) for nats in scored) / math.log(2)


def test_it_takes_what_the_model_says(model, text):
    written, said = compress(text, model, verify=False), bits_by_the_model(model, text)
    assert said < 8 * len(written) < 1.0005 * said + 8 * 90  # a header, and what ends a file


@pytest.mark.parametrize("symbols", [1, 2, 65, 300])
def test_predictions_as_whole_numbers(symbols):
    rng = np.random.default_rng(symbols)
    logits = rng.normal(size=(7, symbols)).astype(np.float32) * [[0], [1], [9], [99], [1], [1], [1]]
    logits[4], logits[5, 0], logits[6, 0] = np.nan, np.inf, -np.inf
    starts = np.asarray(starts_of(jnp.asarray(logits, jnp.float32))).astype(np.int64)
    lengths = np.diff(starts, append=TOTAL)
    assert (starts[:, 0] == 0).all() and (lengths >= 1).all()
    p = np.exp(logits[:4] - np.logaddexp.reduce(logits[:4], axis=1, keepdims=True))
    assert np.abs(lengths[:4] / TOTAL - p).max() < 4 * symbols / TOTAL + 1e-6
    edges = np.stack([starts, starts + lengths - 1], axis=1).reshape(7, -1)
    for places, expected in zip(edges.T, np.tile(np.arange(symbols), 2), strict=True):
        found = symbol_at(jnp.asarray(starts, jnp.float32), jnp.asarray(places, jnp.uint32))
        assert (np.asarray(found) == expected).all()


@pytest.mark.parametrize("scale", [0, 1e-3, 3])
def test_a_large_alphabet_leaves_something_to_its_last_symbol(scale):
    """Where rounding adds to the sum of all probabilities, and to none of them a whole number."""
    logits = scale * np.random.default_rng(0).normal(size=(3, MOST_SYMBOLS))
    starts = np.asarray(starts_of(jnp.asarray(logits, jnp.float32))).astype(np.int64)
    lengths = np.diff(starts, append=TOTAL)
    assert (lengths >= 1).all() and lengths[:, -1].max() < 2 * MOST_SYMBOLS


@pytest.mark.parametrize("count", [1, 256, 257, 70_000])
def test_sums_of_many_numbers_are_exact(count):
    numbers = np.random.default_rng(0).integers(1, 2**24 // 70_000, (2, count))
    sums = np.asarray(sums_before(jnp.asarray(numbers, jnp.float32)))
    assert (sums == np.cumsum(numbers, axis=1) - numbers).all()


def test_the_coder_takes_as_little_as_another():
    """The coder of `constriction`, on the same whole numbers."""
    constriction = pytest.importorskip("constriction")
    rng = np.random.default_rng(0)
    frequencies = rng.multinomial(TOTAL - 30, rng.dirichlet(np.full(30, 0.3))) + 1
    starts = np.cumsum(frequencies) - frequencies
    ids = rng.choice(30, 20_000, p=frequencies / TOTAL).astype(np.int32)
    of_ids = Intervals(*(each[ids][:, None].astype(np.uint32) for each in (starts, frequencies)))
    states, data = encode(of_ids, np.array([START], np.uint32))
    coder = constriction.stream.stack.AnsCoder()
    categorical = constriction.stream.model.Categorical(frequencies / TOTAL, perfect=True)
    coder.encode_reverse(ids, categorical)
    ideal = -np.log2(frequencies[ids] / TOTAL).sum()
    assert 8 * (len(data) + 4) <= 1.0005 * coder.num_bits() and states[0] >= START
    assert ideal < 8 * (len(data) + 4) < 1.0005 * ideal + 32


@given(st.binary() | st.text(st.sampled_from("aé\U0001f600\udcff\n")))
def test_what_an_alphabet_lacks_is_kept_aside(data):
    data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    for alphabet in (Alphabet("a\n"), Alphabet("é"), ByteAlphabet()):
        parts = split(data, alphabet)
        assert join(parts, alphabet, len(data)) == data
        assert (
            len(parts.ids) <= len(data)
            and bool(parts.rest) == (len(parts.ids) < len(data.decode("utf-8", "surrogateescape")))
            or isinstance(alphabet, ByteAlphabet)
        )


def test_every_flipped_bit_and_every_cut_is_an_error(model):
    """Of a file with all parts: a header, what the alphabet lacks, and a block."""
    data = "Ann sees Bob über alles, and Cyd likes Dee and 77.\n".encode() * 4
    written = compress(data, model)
    assert len(written) < len(data)
    for length in range(len(written)):
        with pytest.raises(CompressionError):
            decompress(written[:length], model)
    for bit in range(8 * len(written)):
        damaged = bytearray(written)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CompressionError):
            decompress(bytes(damaged), model)
    with pytest.raises(CompressionError, match="damaged"):
        decompress(written + b"\0", model)
    assert decompress(written, model) == data


def changed(model, change: float):
    """The model with one parameter changed."""
    params = {**model.params, "readout": dict(model.params["readout"])}
    params["readout"]["bias"] = params["readout"]["bias"] + jnp.float32(change)
    return dataclasses.replace(model, params=params)


def test_another_model_is_refused(model, text):
    written = compress(text, model)
    with pytest.raises(CompressionError, match=r"with another model, [0-9a-f]{16}, and this one"):
        decompress(written, changed(model, 1e-6))


@pytest.mark.parametrize("change", [3.0, 1e-3])
def test_other_arithmetic_never_gives_other_bytes(model, text, change, monkeypatch):
    """As of a machine that passes for the same, and adds up in another order."""
    written = compress(text, model)
    params = changed(model, 0).params
    params["readout"]["bias"] = params["readout"]["bias"] * change
    other = dataclasses.replace(model, params=params)
    monkeypatch.setattr(archive, "model_digest", lambda model: identity.model_digest(original))
    original = model
    with pytest.raises(CompressionError, match="arithmetic is another here"):
        decompress(written, other)


@pytest.mark.parametrize(
    "key, then, message",
    [
        ("jax", "0.9.9", "compressed by jax 0.9.9, and here it is"),
        ("machine", "pdp11", "compressed on a machine of the kind pdp11, and here it is"),
    ],
)
def test_other_versions_and_machines_are_refused_unless_one_insists(
    model, text, key, then, message, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(archive, "surroundings", lambda: {**identity.surroundings(), key: then})
        written = compress(text, model)
    with pytest.raises(CompressionError, match=f"{message}.*decompress --anyway"):
        decompress(written, model)
    assert decompress(written, model, anyway=True) == text


def test_a_digest_follows_from_what_a_model_computes(model, run):
    assert identity.model_digest(model) == identity.model_digest(load(run, note=quiet))
    alphabet = Alphabet(model.alphabet.symbols[::-1])
    others = [
        changed(model, 1e-6),
        dataclasses.replace(model, alphabet=alphabet),
        dataclasses.replace(model, network=dataclasses.replace(model.network, separator=(0,))),
    ]
    assert len({identity.model_digest(each) for each in (model, *others)}) == 4


def test_a_header_that_asks_for_too_much_is_refused(model):
    header = Reader(compress(b"Ann sees Bob and 7. " * 9, model), "it").header()
    for more in ({"symbols": 2**40}, {"length": 2**40, "symbols": 2**40}, {"streams": 2**30}):
        with pytest.raises(CompressionError, match="the compressed data is damaged"):
            decompress(dataclasses.replace(header, **more).packed() + bytes(99), model)


def test_what_is_refused(model, monkeypatch):
    with pytest.raises(CompressionError, match="was not written by charrnn compress"):
        decompress(b"PK\3\4" * 30, model, name="a.zip")
    written = bytearray(compress(b"Ann", model))
    written[3] = 9
    with pytest.raises(CompressionError, match="has the format 9, and this charrnn reads 1"):
        decompress(bytes(written), model)
    monkeypatch.setattr(archive, "MOST_BYTES", 10)
    with pytest.raises(CompressionError, match="there are 11 bytes to compress; expected at most"):
        compress(bytes(11), model)
    monkeypatch.setattr("charrnn_core.compression.predictor.MOST_SYMBOLS", 5)
    with pytest.raises(CompressionError, match="symbols; expected at most 5: train a model"):
        compress(b"Ann", dataclasses.replace(model))


def test_the_commands(charrnn, charrnn_process, run, tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text)
    shutil.copytree(run, tmp_path / "run")
    done = charrnn_process("compress", "a.txt", "--with", "run")
    assert done.returncode == 0, done.stderr
    assert (
        "bits per byte; verified" in done.stdout
        and "decompress a.txt.crz --with run" in done.stdout
    )
    refused = charrnn("decompress", "a.txt.crz", "--with", "run")
    assert refused.returncode == 2 and "a.txt is there already; remove it, or" in refused.stderr
    (tmp_path / "a.txt").unlink()
    done = charrnn("decompress", "a.txt.crz", "--with", "run")
    assert done.returncode == 0 and (tmp_path / "a.txt").read_bytes() == text, done.stderr
    (tmp_path / "a.txt.crz").rename(tmp_path / "b.crz")
    for arguments, message in [
        (("compress", "a.txt"), "expected either --with RUN, the run whose"),
        (("compress", "a.txt", "--adaptive", "--with", "run"), "expected either --with RUN"),
        (("decompress", "b.crz", "--out", "c"), "compressed with the model"),
        (("compress", "b.txt", "--with", "run"), "cannot read b.txt: No such file"),
        (("compress", "a.txt", "--with", "run", "--out", "a.txt"), "a.txt is what is read; give"),
        (("decompress", "a.txt", "--with", "run"), "a.txt does not end in .crz"),
        (
            ("decompress", "a.txt", "--with", "run", "--out", "c"),
            "a.txt was not written by charrnn",
        ),
    ]:
        refused = charrnn(*arguments)
        assert refused.returncode and message in refused.stderr, refused.stderr
        assert len(refused.stderr.splitlines()) == 1 and not (tmp_path / "c").exists()
    done = charrnn("compress", "a.txt", "--with", "run", "--no-verify", "--out", "c.crz")
    assert "not verified" in done.stdout
    assert (tmp_path / "c.crz").read_bytes() == (tmp_path / "b.crz").read_bytes()


@pytest.mark.slow
def test_what_learns_while_it_codes(small_text, monkeypatch):
    """In one stream and in three, of unequal lengths; a text, and what has no order."""
    noise = np.random.default_rng(0).bytes(500)
    for count in (1, 3):
        cut = staticmethod(lambda symbols, count=count: Streams(count, symbols))
        monkeypatch.setattr(Learner, "streams", cut)
        for data in (small_text.encode()[:4001], noise + bytes(2000) + noise):
            written = compress(data, None, verify=False)
            assert decompress(written, None) == data
            assert len(written) < len(data) * (0.35 if data[0] == ord("A") else 0.6)


@pytest.mark.slow
def test_a_network_that_learns_too_fast_does_no_harm(small_text, monkeypatch):
    """Its parameters are no numbers after a few windows; the counts go on without it."""
    monkeypatch.setattr(learner, "_LEARNING_RATE", 1e38)
    monkeypatch.setattr(archive, "_learner", Learner)
    data = small_text.encode()[:4001]
    written = compress(data, None, verify=False)
    assert len(written) < len(data) * 0.4 and decompress(written, None) == data


@pytest.mark.slow
def test_the_adaptive_commands(charrnn_process, charrnn, run, tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text)
    done = charrnn_process("compress", "a.txt", "--adaptive", "--out", "a.crz")
    assert done.returncode == 0 and "decompress a.crz\n" in done.stdout, done.stderr
    done = charrnn_process("decompress", "a.crz", "--out", "b.txt")
    assert done.returncode == 0 and (tmp_path / "b.txt").read_bytes() == text, done.stderr
    refused = charrnn("decompress", "a.crz", "--with", run, "--out", "b.txt")
    assert "a.crz was compressed without a run; leave the run out" in refused.stderr


CELLS = (
    "elman:6", "gru:6", "indrnn:6", "flax:GRUCell:6", "flax:nnx.LSTMCell:6", "lstm:6", "mgu:6",
    "mingru:6", "minlstm:6", "mlstm:6", "mogrifier:6", "rglru:6", "rhn:6", "slstm:6",
    "stacked:elman:6,lstm:4",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell, text_file, text, tmp_path):
    round_trip(RunConfig(cell=cell), text_file, text, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"documents": "lines"}, {"alphabet": "bytes"}, {"tied": True}, {"context": 0, "counts": 3},
        {"context": 3, "counts": 0}, {"unroll": "scan"}, {"embedding": 0, "context": 0},
    ],
    ids=str,
)  # fmt: skip
def test_every_kind_of_network(more, text_file, text, tmp_path):
    round_trip(RunConfig(cell="lstm:6", **more), text_file, text, tmp_path)


def round_trip(config: RunConfig, text_file, text: bytes, tmp_path) -> None:
    """Train a moment; text and what is none come back."""
    config = dataclasses.replace(
        config, source=str(text_file), characters=2000, batch=4, window=8, observers=(), shards=1
    )
    train(config, out=tmp_path / "run", note=quiet)
    model = load(tmp_path / "run", note=quiet)
    for data in (text, b"\xff" + text[:300] + "ünd".encode()):
        written = compress(data, model, verify=False)
        assert len(written) < len(data) and decompress(written, model) == data


@pytest.mark.slow
def test_ten_megabytes(model, text):
    data = (text * (10_000_000 // len(text) + 1))[:10_000_000]
    assert decompress(compress(data, model, verify=False), model) == data


@pytest.mark.slow
def test_a_whole_file_of_100_kb_is_within_a_third_of_a_percent(model, text):
    """Of some 2 bits a character, as real texts are, since what a file begins with is constant."""
    words = np.random.default_rng(0).permutation(text.decode().split())
    data = (" ".join(words) * 30)[:100_000].encode()
    written, each = compress(data, model), ModelPredictor.streams(len(data)).steps
    said = sum(bits_by_the_model(model, data[at : at + each]) for at in range(0, len(data), each))
    assert 1.8 < said / len(data) < 4 and 8 * len(written) < 1.003 * said
