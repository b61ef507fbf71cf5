"""The baselines: their rows, and counting them in the background."""

import bz2
import lzma
import math
import os
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest

from charrnn_core.errors import CorpusError
from charrnn_core.evaluation import baselines as module
from charrnn_core.evaluation import counting
from charrnn_core.evaluation.baselines import (
    baselines,
    kneser_ney_nats,
    unigram_nats,
    work_of,
    xz_bits,
    xz_nats,
)
from charrnn_core.evaluation.counting import Counting
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.text.split import Piece, Split
from tests.conftest import PLAIN_OPTIONS, SHARED

V = 5


def random_text(length, seed):
    """A text with structure: the same few words over and over."""
    rng = np.random.default_rng(seed)
    words = [np.random.default_rng(i).integers(V, size=3 + i % 3) for i in range(9)]
    return np.concatenate([words[i] for i in rng.integers(9, size=length)])[:length]


def test_the_rows_are_those_of_their_counts():
    training, alphabet = random_text(2000, 0), Alphabet("abcde")
    pieces = [Piece(0, random_text(1000, 1))]
    unigram, n_gram, xz = baselines(training, pieces, alphabet)
    assert unigram.nats_per_char == unigram_nats(training, pieces, V)
    assert n_gram.nats_per_char == kneser_ney_nats(training, pieces, V)
    assert n_gram.name == "n-gram, order 6"
    assert xz.nats_per_char == xz_nats(training, pieces, alphabet)
    assert len(baselines(training, [Piece(0, random_text(999, 1))], alphabet)) == 2  # without xz


def test_xz_charges_what_the_held_out_text_adds():
    text = "Où sont les neiges d'antan ?\n" * 30
    for alphabet in (Alphabet.of(text), ByteAlphabet()):
        ids, cut = alphabet.encode(text), 400
        first, whole = (alphabet.decode(x).encode() for x in (ids[:cut], ids))
        bits = 8 * (len(lzma.compress(whole, preset=9 | lzma.PRESET_EXTREME)) -
                    len(lzma.compress(first, preset=9 | lzma.PRESET_EXTREME)))  # fmt: skip
        ours = xz_nats(ids[:cut], [Piece(0, ids[cut:600]), Piece(0, ids[600:])], alphabet)
        assert ours == pytest.approx(bits * math.log(2) / (len(ids) - cut))


def test_no_baselines_for_what_is_long_or_empty(monkeypatch):
    alphabet, piece = Alphabet("ab"), Piece(0, np.zeros(5, int))
    with pytest.raises(CorpusError, match="no baselines: 0 characters to count, 5 to score"):
        baselines(np.zeros(0, int), [piece], alphabet)
    monkeypatch.setattr(module, "MOST_CHARACTERS", 1000)
    rows, [remark] = Counting(np.zeros(996, int), [piece], alphabet).wait()
    assert rows == () and "this text has 1,001 characters, more than the limit of 1,000" in remark
    assert len(Counting(np.zeros(995, int), [piece], alphabet).wait()[0]) == 2


def test_what_cannot_be_counted_costs_its_row(monkeypatch):
    training, alphabet = random_text(2000, 0), Alphabet("abcde")
    work = training, [Piece(0, random_text(1000, 1))], alphabet
    whole, _ = Counting(*work).wait()

    def fail(*arguments, **how):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(module, "xz_bits", fail)
        rows, remarks = Counting(*work).wait()
        assert rows == whole[:2] and remarks == ("no xz: counting failed with MemoryError",)
    with monkeypatch.context() as patch:
        patch.setattr(module, "kneser_ney_nats", fail)
        rows, [remark] = Counting(*work).wait()
        assert rows == whole[2:] and remark.startswith("no n-grams: ")
    with monkeypatch.context() as patch:
        patch.setattr(module, "count_characters", fail)
        assert Counting(*work).wait() == ((), ("no baselines: counting failed with MemoryError",))
    with monkeypatch.context() as patch:
        patch.setattr(counting.threading.Thread, "start", lambda self: fail_to_start())
        assert "no baselines: counting failed with RuntimeError" in Counting(*work).wait()[1][0]


def fail_to_start():
    raise RuntimeError("can't start new thread")


def test_counting_ends_when_nobody_waits(monkeypatch):
    began = threading.Event()

    def compress(data, check_interrupt):
        began.set()
        while True:
            check_interrupt(1)
            time.sleep(0.01)

    monkeypatch.setattr(module, "xz_bits", compress)
    before = set(threading.enumerate())
    work = Counting(random_text(2000, 0), [Piece(0, random_text(1000, 1))], Alphabet("abcde"))
    assert began.wait(60)
    [thread] = set(threading.enumerate()) - before
    assert thread.daemon  # Python does not wait for it at the end
    assert work.wait(lambda: True) == ((), ("no baselines: counting was interrupted",))
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("modest", [True, False], ids=["with a priority", "without one"])
def test_counting_gives_way_and_says_how_much_is_left(monkeypatch, modest):
    steps, at, asked = threading.Semaphore(0), [], []

    def compress(data, check_interrupt):
        for number in range(10):
            check_interrupt(len(data) / 10)
            at.append(number)
            steps.acquire()
        return 8 * len(data)

    def set_modest(thread, now):
        asked.append(now)
        return modest

    monkeypatch.setattr(module, "xz_bits", compress)
    monkeypatch.setattr(counting, "_set_modest", set_modest)
    training, pieces = random_text(2000, 0), [Piece(0, random_text(1000, 1))]
    work = Counting(training, pieces, Alphabet("abcde"))
    assert 0 < work.seconds_left

    def until(number):
        while len(at) <= number:
            time.sleep(0.01)

    until(0)
    work.give_way()
    done = work._done_work
    steps.release()
    if modest:  # the system sees to it that it gets no core that something else wants
        until(1)
    else:
        time.sleep(0.2)
        assert at == [0]
    assert done < work._done_work < work_of(training, pieces)
    left = work.seconds_left
    time.sleep(0.2)
    assert 0 < work.seconds_left <= left  # waiting is no work
    steps.release(100)
    rows, remarks = work.wait()
    assert len(rows) == 3 and not remarks and work.seconds_left == 0
    assert at == [*range(10), *range(10)]
    assert asked == ([True, False] if modest else [True])


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
def test_a_thread_gives_way_and_takes_part_again():
    go = threading.Event()
    thread = threading.Thread(target=go.wait, daemon=True)
    thread.start()
    for modest, policy in ((True, os.SCHED_IDLE), (False, os.SCHED_OTHER)):
        assert counting._set_modest(thread, modest)
        assert os.sched_getscheduler(thread.native_id) == policy
        assert os.sched_getscheduler(0) == os.SCHED_OTHER  # this one keeps its own
    go.set()


def test_what_was_counted_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(counting, "_LEAST_TO_KEEP", 3000)
    training, held_out = random_text(2500, 0), random_text(1500, 1)
    text = training, [Piece(0, held_out)], Alphabet("abcde")
    kept = tmp_path / "cache" / "baselines"
    first = Counting(*text).wait()
    [file] = kept.glob("*.json")

    def count(*arguments, **how):
        raise AssertionError("it is counted again")

    with monkeypatch.context() as patch:
        patch.setattr(counting, "baselines", count)
        assert Counting(*text).wait() == first
        others = (
            (training[:-1], [Piece(0, held_out)], Alphabet("abcde")),
            (training, [Piece(1, held_out)], Alphabet("abcde")),
            (training, [Piece(0, held_out[:700]), Piece(0, held_out[700:])], Alphabet("abcde")),
            (training, [Piece(0, held_out)], Alphabet("abcdf")),
            (training, [Piece(0, held_out[::-1])], Alphabet("abcde")),
        )
        for other in others:
            assert Counting(*other).wait()[0] == ()
    assert Counting(training[:900], [Piece(0, held_out)], Alphabet("abcde")).wait()[0]
    assert list(kept.iterdir()) == [file]  # of so short a text nothing is kept
    for damaged in (b"", b"[", b"[3]", b'[{"name": 3}]', b"\xff", b"[" * 10**5):
        file.write_bytes(damaged)
        assert Counting(*text).wait() == first
    file.unlink()
    kept.rmdir()
    kept.write_text("a file")  # where nothing can be kept, everything is counted
    assert Counting(*text).wait() == first


def test_what_failed_is_not_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    monkeypatch.setattr(counting, "_LEAST_TO_KEEP", 3000)
    text = random_text(2500, 0), [Piece(0, random_text(1500, 1))], Alphabet("abcde")
    with monkeypatch.context() as patch:
        patch.setattr(module, "xz_bits", lambda *arguments: [][0])
        assert len(Counting(*text).wait()[0]) == 2
    assert not list(tmp_path.rglob("*.json"))
    assert len(Counting(*text).wait()[0]) == 3


def test_xz_in_pieces_is_xz_at_once():
    rng = np.random.default_rng(0)
    for length in (0, 1, 65_536, 65_537, 200_000):
        data = rng.integers(97, 105, size=length, dtype=np.uint8).tobytes()
        assert xz_bits(data) == 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


@pytest.mark.slow
def test_a_training_that_is_stopped_does_not_wait_for_counting(monkeypatch, text_file, tmp_path):
    from charrnn_core import RunConfig, train

    def compress(data, check_interrupt):
        while True:
            check_interrupt(1)
            time.sleep(0.01)

    monkeypatch.setattr(module, "xz_bits", compress)
    monkeypatch.setattr(module, "_LEAST_FOR_XZ", 1)
    config = RunConfig(cell="elman:4", source=str(text_file), characters=600, batch=4, window=8,
                       observers=(), sample_length=1, shards=1)  # fmt: skip
    ended = []

    class Watcher:
        def on_sample(self, event):
            ended.append(event.step)

    looks = iter([False] * 18)  # of those between updates; the next one is while it counts
    result = train(config, out=tmp_path / "run", observers=[Watcher()], note=lambda line: None,
                   stop=lambda: next(looks, True), updates_per_call=1)  # fmt: skip
    assert result.held_out is not None and not result.held_out.baselines
    assert result.held_out.remarks == ("no baselines: counting was interrupted",)


@pytest.mark.slow
def test_a_signal_while_it_counts_ends_the_command(text_file, tmp_path):
    """All is shown but what was not counted, and the exit code is that of the signal."""
    program = f"""
import os, signal, sys, time
from charrnn.cli import main
from charrnn_core.evaluation import baselines
signal.signal(signal.SIGINT, signal.default_int_handler)

def count(training, pieces, symbols, check_interrupt=None):
    while not os.path.exists({str(tmp_path / "run" / "ended")!r}):
        check_interrupt(1)
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        check_interrupt(1)
        time.sleep(0.01)

from charrnn_core.training.loop import TrainingLoop
finish = TrainingLoop._save

def save(self, status=None):
    saved = finish(self, status)
    if self.loop.status == "finished":
        open({str(tmp_path / "run" / "ended")!r}, "w").close()
    return saved

TrainingLoop._save = save
baselines.kneser_ney_nats = count
main()
"""
    given = [
        "run", "--cell", "elman:4", "--source", text_file, "--chars", "600", "--batch", "4",
        "--window", "8", "--sample-length", "1", "--out", tmp_path / "run", "--quiet",
        *PLAIN_OPTIONS,
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, given)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "note: no baselines: counting was interrupted" in done.stdout
    assert "sample  " in done.stdout and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def shakespeare():
    path = SHARED / "corpora" / "tinyshakespeare.txt"
    if not path.exists():
        pytest.skip("../shared/corpora/tinyshakespeare.txt is absent")
    return path.read_text()


@pytest.mark.slow
def test_the_n_grams_of_a_megabyte(shakespeare):
    """The figure is of another implementation, with exact strings and rows of their own."""
    alphabet, cut = Alphabet.of(shakespeare), Split.named("nanogpt-90/10")
    ids = alphabet.encode(shakespeare)
    parts = cut.training(ids), cut.pieces(ids, "valid", 0), len(alphabet)
    assert kneser_ney_nats(*parts) == pytest.approx(1.5162, abs=2e-4)
    assert kneser_ney_nats(*parts, order=4) == pytest.approx(1.5602, abs=2e-4)


def test_published_figures_of_compressors(shakespeare):
    data = shakespeare.encode()
    sizes = [8 * len(zlib.compress(data, 9)), xz_bits(data), 8 * len(bz2.compress(data, 9))]
    bits = [size / len(shakespeare) for size in sizes]
    assert bits == pytest.approx([3.112, 2.614, 2.356], abs=0.001)
