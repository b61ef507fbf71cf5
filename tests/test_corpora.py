"""Texts of any size: read in pieces, encoded once into a file, mapped; and what may go wrong."""

import errno
import hashlib
import io
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from charrnn_text import FileOptions
from charrnn_text.files import file
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import Corpus, RunConfig, SourcePlugin, hookimpl, resume, train
from charrnn_core.errors import CorpusError, ResumeError, StorageError, UnknownSymbolError
from charrnn_core.files.atomic import Disk
from charrnn_core.registry.registry import Registry
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet
from charrnn_core.text.corpus import SourceContext
from charrnn_core.text.decode import ERRORS, TextDecoder
from charrnn_core.text.encode import encode_corpus
from charrnn_core.text.load import read_corpus
from charrnn_core.text.mapped import give_back, open_ids, write_ids
from charrnn_core.training.batches import Streams, stack_batches
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.setup import prepare

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates and all
file_bytes = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"a", b"\xef\xbb\xbf", "é—\U0001f98a".encode(), b"\xff"]
    )
    | st.binary(max_size=3)
).map(b"".join)
KEY = bytes(range(32))


def cut(draw, whole):
    """The same in pieces of any sizes, empty ones too."""
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


def long_text(pieces, name="long") -> Corpus:
    return Corpus(pieces=lambda: iter(pieces), name=name, origin=f"nowhere/{name}")


def silent(line: str) -> None:
    raise AssertionError(f"nothing should be said; got: {line}")


@pytest.fixture
def everything_is_long(tmp_path, monkeypatch) -> Path:
    """Take the way of long texts for short ones; the cache."""
    monkeypatch.setattr("charrnn_core.text.encode.IN_MEMORY", 0)
    monkeypatch.setattr("charrnn_text.files.LARGEST_TEXT", 10)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files_of(cache: Path) -> list[Path]:
    return sorted(cache.glob("ids/*/*.crni"))


@given(
    file_bytes, st.sampled_from(["normalise", "keep"]), st.sampled_from(sorted(ERRORS)), st.data()
)
def test_bytes_in_any_pieces_are_the_same_text(data, newlines, errors, draws):
    decoder = TextDecoder("here", newlines, errors)
    *pieces, last = cut(draws.draw, data)
    try:
        expected = data.decode("utf-8", ERRORS[errors])
    except UnicodeDecodeError as error:
        where = rf"here is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start};"
        with pytest.raises(CorpusError, match=where):
            "".join([*map(decoder.feed, pieces), decoder.end(last)])
        return
    text = "".join([*map(decoder.feed, pieces), decoder.end(last)])
    if errors != "escape":
        expected = expected.removeprefix("\ufeff")
    crlf, cr = expected.count("\r\n"), expected.count("\r")
    if newlines == "normalise":
        expected = expected.replace("\r\n", "\n").replace("\r", "\n")
        assert (decoder.crlf, decoder.cr) == (crlf, cr - crlf)
    assert text == expected
    if (newlines, errors) == ("keep", "escape"):
        assert ByteAlphabet().encode(text, dtype=np.uint8).tobytes() == data


def test_every_way_to_cut_bytes_in_two_gives_the_same_text():
    data = "\ufeffé\r\n\r\r\n—\n\r\U0001f98a\r".encode()
    for place in range(len(data) + 1):
        decoder = TextDecoder("here")
        assert decoder.feed(data[:place]) + decoder.end(data[place:]) == "é\n\n\n—\n\n\U0001f98a\n"
        assert (decoder.crlf, decoder.cr) == (2, 3)


@given(any_text, st.data())
def test_a_text_in_any_pieces_is_the_same_corpus(text, draws):
    corpus = long_text(cut(draws.draw, text))
    whole = Corpus(text=text, name="whole", origin="nowhere")
    assert corpus.sha256 == whole.sha256
    assert corpus.sha256 == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    assert corpus.characters == whole.characters == len(text)
    assert corpus.symbols == whole.symbols == "".join(sorted(set(text)))
    for alphabet in (Alphabet.of(corpus.symbols), ByteAlphabet()):
        ids = encode_corpus(corpus, alphabet)
        assert ids.tolist() == encode_corpus(whole, alphabet).tolist()
        assert ids.tolist() == alphabet.encode(text).tolist() and ids.dtype == alphabet.dtype
    assert Alphabet.of(text).decode(encode_corpus(corpus, Alphabet.of(text))) == text


@pytest.mark.parametrize(
    ("symbols", "dtype"),
    [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")],
)
def test_ids_have_the_smallest_type(symbols, dtype):
    text = "".join(map(chr, range(symbols)))
    ids = encode_corpus(long_text([text]), Alphabet.of(text))
    assert ids.dtype == dtype and ids.tolist() == list(range(symbols))


def test_a_corpus_has_its_text_or_its_pieces():
    for texts in ({}, {"text": "ho", "pieces": lambda: ["ho"]}):
        with pytest.raises(CorpusError, match="'n' needs either text or pieces"):
            Corpus(name="n", origin="o", **texts)


def test_a_piece_may_be_long_and_a_text_may_hold_anything():
    text = "ab\r\n\0é\ud800\U0001f98a" * 400_000
    pieces = list(long_text([text]).read())
    assert len(pieces) > 2 and "".join(pieces) == text
    assert long_text([text]).symbols == "\0\n\rabé\ud800\U0001f98a"


@pytest.mark.parametrize("alphabet", [Alphabet.of("ho \n—é"), ByteAlphabet()])
def test_long_texts_are_mapped_from_a_file_that_is_written_once(everything_is_long, alphabet):
    text, notes, readings = "ho ho—\né" * 50, [], []

    def pieces():
        readings.append(None)
        return [text[:100], text[100:]]

    def corpus():
        return Corpus(pieces=pieces, name="long", origin="nowhere")

    ids = encode_corpus(corpus(), alphabet, note=notes.append)
    [written] = files_of(everything_is_long)
    assert notes == [f"note: encoding the 400 characters of nowhere once, into {written}"]
    assert ids.tolist() == alphabet.encode(text).tolist() and ids.dtype == alphabet.dtype
    assert isinstance(ids.base, mmap.mmap) and not ids.flags.writeable
    assert len(readings) == 2  # once to know it, once to encode it
    again = encode_corpus(corpus(), alphabet, note=silent)
    assert again.tolist() == ids.tolist() and len(readings) == 3
    # Another alphabet or text has a file of its own.
    for known in (Alphabet("h "), Alphabet(" h")):
        skipped = encode_corpus(corpus(), known, "skip", note=notes.append)
        assert known.decode(skipped) == "h h" * 50
    encode_corpus(long_text([text, "h"]), alphabet, note=notes.append)
    assert len(files_of(everything_is_long)) == 4


def test_unknown_symbols_of_a_long_text_are_listed_all_at_once(everything_is_long):
    corpus = long_text(["ho x", "ho y"])
    with pytest.raises(UnknownSymbolError, match="lacks 'x', 'y'; "):
        encode_corpus(corpus, Alphabet("ho "))
    assert files_of(everything_is_long) == []
    assert len(encode_corpus(corpus, Alphabet("1"), "skip", note=lambda line: None)) == 0


def damages(good: bytes) -> list[bytes]:
    flips = [
        good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        for place in (0, 50, *range(len(good) - 80, len(good), 7))
    ]
    return [b"", good[:-1], good[:40], good[1:], good + b"x", *flips]


def test_damage_is_noticed_and_mended(everything_is_long):
    corpus, alphabet, notes = long_text(["ho ho ho\n" * 12]), Alphabet("\n ho"), []
    ids = encode_corpus(corpus, alphabet, note=notes.append).tolist()
    [written] = files_of(everything_is_long)
    good = written.read_bytes()
    for bad in damages(good):
        written.unlink()  # what is mapped must not change
        written.write_bytes(bad)
        notes.clear()
        assert encode_corpus(corpus, alphabet, note=notes.append).tolist() == ids
        assert "is damaged" in notes[0] and "recreating it" in notes[0] and "once" in notes[1]
        assert written.read_bytes() == good


def test_the_file_of_another_text_is_not_believed(everything_is_long):
    alphabet = Alphabet("ho")
    one, other = long_text(["hoho"]), long_text(["ohoh"])
    for corpus in (one, other):
        encode_corpus(corpus, alphabet, note=lambda line: None)
    first, second = files_of(everything_is_long)
    os.replace(first, second)
    found = [encode_corpus(c, alphabet, note=lambda line: None).tolist() for c in (one, other)]
    assert found == [[0, 1, 0, 1], [1, 0, 1, 0]]


@given(st.sampled_from(["u1", "u2", "u4"]), st.lists(st.integers(0, 255)), st.data())
def test_a_file_of_ids_is_whole_or_refused(tmp_path_factory, dtype, ids, draws):
    path = tmp_path_factory.mktemp("ids") / "ids.crni"
    write_ids(path, KEY, [np.array(piece, dtype) for piece in cut(draws.draw, ids)])
    assert open_ids(path, KEY).tolist() == ids and open_ids(path, KEY).dtype == dtype
    with pytest.raises(CorpusError, match="has the wrong name"):
        open_ids(path, bytes(32))
    good = bytearray(path.read_bytes())
    good[draws.draw(st.integers(0, len(good) - 1))] ^= draws.draw(st.integers(1, 255))
    path.write_bytes(good)
    with pytest.raises(CorpusError, match="damaged"):
        open_ids(path, KEY)


def test_a_text_that_changes_while_it_is_read_is_not_kept(everything_is_long, monkeypatch):
    texts = iter(["ho ho", "ho oh", "ho ho", "ho oh"])
    for _ in range(2):
        corpus = Corpus(pieces=lambda: [next(texts)], name="n", origin="nowhere")
        with pytest.raises(CorpusError, match="nowhere changed while it was being read"):
            encode_corpus(corpus, Alphabet(" ho"), note=lambda line: None)
        assert list(everything_is_long.glob("ids/*/*[!k]")) == []
        monkeypatch.setattr("charrnn_core.text.encode.IN_MEMORY", 100)


def test_a_cache_that_is_read_only_or_full(everything_is_long, monkeypatch):
    corpus, alphabet = long_text(["ho ho"]), Alphabet(" ho")

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Disk, "write", refuse)
        with pytest.raises(StorageError, match="No space left on device; .*CHARRNN_CACHE"):
            encode_corpus(corpus, alphabet, note=lambda line: None)
    assert list(everything_is_long.glob("ids/*/*[!k]")) == []
    encode_corpus(corpus, alphabet, note=lambda line: None)
    for function in ("make_directory", "write_ids"):
        monkeypatch.setattr(f"charrnn_core.text.encode.{function}", refuse)
    monkeypatch.setattr("os.utime", refuse)
    assert encode_corpus(corpus, alphabet, note=silent).tolist() == [1, 2, 0, 1, 2]


def test_what_nobody_uses_is_removed(everything_is_long):
    alphabet = Alphabet("ho")
    used, unused = long_text(["hoh"]), long_text(["oho"])
    for corpus in (used, unused):
        encode_corpus(corpus, alphabet, note=lambda line: None)
    left = [path.parent / ".ids.crni.1-00000000.tmp" for path in files_of(everything_is_long)]
    long_ago = time.time() - 40 * 24 * 3600
    for path in (*left, *files_of(everything_is_long)):
        path.touch()
        os.utime(path, (long_ago, long_ago))
    encode_corpus(used, alphabet, note=silent)
    new = long_text(["hhh"])
    encode_corpus(new, alphabet, note=lambda line: None)
    assert len(files_of(everything_is_long)) == 2
    for corpus in (used, new):
        encode_corpus(corpus, alphabet, note=silent)
    assert not any(path.exists() for path in left)


def test_two_processes_encode_once(tmp_path):
    script = (
        "import sys, time, charrnn_core.text.encode as encoding\n"
        "from charrnn_core.text.alphabet import Alphabet\n"
        "from charrnn_core.text.corpus import Corpus\n"
        "encoding.IN_MEMORY = 0\n"
        "def pieces():\n"
        "    for _ in range(20):\n"
        "        time.sleep(0.02)\n"
        "        yield 'ho ho' * 1000\n"
        "corpus = Corpus(pieces=pieces, name='n', origin='o')\n"
        "corpus.sha256, print('ready', flush=True), sys.stdin.readline()\n"
        "ids = encoding.encode_corpus(corpus, Alphabet(' ho'))\n"
        "print(len(ids), int(ids.sum()))\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "CHARRNN_CACHE": str(tmp_path)},
        )
        for _ in range(3)
    ]  # fmt: skip
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        print(file=child.stdin, flush=True)
    said = [child.communicate() for child in children]
    assert {out for out, _ in said} == {"100000 120000\n"}, said
    assert sum("encoding the" in notes for _, notes in said) == 1


def test_the_source_reads_long_files_in_pieces(everything_is_long, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\r")
    (tmp_path / "b").write_bytes("fünf—".encode())
    notes = []
    context = SourceContext(tmp_path, note=notes.append)
    for size in (1, 2, 3, 1 << 20):
        monkeypatch.setattr("charrnn_text.archives._CHUNK", size)
        corpus = file(str(tmp_path / "[ab]"), FileOptions(), context)
        assert corpus.text is None and "".join(corpus.read()) == "one\ntwo\nthree\nfünf—"
        assert "".join(corpus.read_again()) == "one\ntwo\nthree\nfünf—"
        line = f"note: {tmp_path}/[ab]: 1 CR LF and 2 CR were read as line ends LF "
        assert notes == [f"{line}(keep them with --source-opt newlines=keep)"]
        notes.clear()
    kept = file(str(tmp_path / "a"), FileOptions(newlines="keep"), context)
    assert "".join(kept.read()) == "one\r\ntwo\rthree\r" and notes == []
    escaped = file(str(tmp_path), FileOptions(newlines="keep", errors="escape"), context)
    assert encode_corpus(escaped, ByteAlphabet(), note=notes.append).tobytes() == (
        b"\xef\xbb\xbfone\r\ntwo\rthree\r\n" + "fünf—".encode()
    )


def test_long_standard_input_can_be_read_again(everything_is_long, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\r\n" * 100)))
    corpus = file("-", FileOptions(), SourceContext(everything_is_long))
    assert corpus.text is None and corpus.characters == 400
    assert "".join(corpus.read_again()) == "one\n" * 100


def test_sources_of_others_go_on_as_they_were(tmp_path):
    import types

    plugin = types.ModuleType("theirs")
    plugin.read = lambda argument, options, context: Corpus(  # type: ignore[attr-defined]
        text=argument, name="theirs", origin="their place", licence="MIT"
    )
    sys.modules["theirs"] = plugin
    plugin.charrnn_sources = hookimpl(  # type: ignore[attr-defined]
        lambda: [SourcePlugin(name="theirs", target="theirs:read")]
    )
    registry, with_theirs = Registry(), Registry.installed()
    for each in (registry, with_theirs):
        each.add(lambda: plugin, "entry", "their-distribution", "1.0")
    corpus = read_corpus("theirs:ho ho", registry)
    assert (corpus.text, corpus.characters, corpus.symbols) == ("ho ho", 5, " ho")
    with pytest.raises(CorpusError, match="their place is empty"):
        read_corpus("theirs:", registry)
    config = RunConfig(source="theirs:hhh")
    with pytest.raises(CorpusError, match="single distinct character, 'h'"):
        prepare(config.resolve(with_theirs), TrainingContext(registry=with_theirs))


def small_run(text: Path, **settings) -> RunConfig:
    return RunConfig(
        source=f"file:{text}", cell="elman:6", embedding=4, batch=3, window=7,
        characters=900, observers=(), unroll="scan", eval_characters=300, sample_length=5,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"alphabet": "bytes", "batching": "subsequences"}])
def test_training_on_a_mapped_text_is_the_same_to_the_bit(
    request, text_file, tmp_path, monkeypatch, settings
):
    monkeypatch.setattr("charrnn_core.text.encode.IN_MEMORY", 1 << 24)
    config = small_run(text_file, **settings)
    one = train(config, out=tmp_path / "one", note=lambda line: None)
    request.getfixturevalue("everything_is_long")
    other = train(config, out=tmp_path / "other", note=lambda line: None)
    assert len(files_of(tmp_path / "cache")) == 1
    assert one.held_out == other.held_out
    for a, b in zip(*map(_leaves, (one, other)), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _leaves(trained):
    return jax.tree.leaves(trained.model.params)


@pytest.mark.slow
def test_a_long_text_that_changed_between_runs_is_noticed(everything_is_long, text_file, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(text_file.read_text())
    train(small_run(text), out=tmp_path / "run", note=lambda line: None)
    text.write_text(text_file.read_text().replace("Ann", "Bob", 1))
    more = {"characters": 1800}
    with pytest.raises(ResumeError, match=r"text.txt has changed.*--allow-change text"):
        resume(tmp_path / "run", budget=more, note=lambda line: None)
    text.write_text(text_file.read_text())
    assert resume(tmp_path / "run", budget=more, note=lambda line: None).reason == "finished"


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system cannot give back")
def test_memory_stays_bounded(tmp_path):
    with open(tmp_path / "long.txt", "wb") as written:
        for number in range(200):
            written.write((f"{number} héllo wörld, ".encode() * 100_000)[: 1 << 20] + b"\n")
    script = (
        "import resource, sys, numpy as np\n"
        "from charrnn_core.text.load import read_corpus\n"
        "from charrnn_core.text.alphabet import ALPHABETS\n"
        "from charrnn_core.training.batches import Streams, stack_batches\n"
        "from charrnn_core.text.encode import encode_corpus\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "before = peak()\n"
        "for alphabet in ALPHABETS.values():\n"
        "    corpus = read_corpus('file:long.txt')\n"
        "    ids = encode_corpus(corpus, alphabet.of(corpus.symbols))\n"
        "    for streams, window in ((64, 1024), (4096, 16)):\n"
        "        batches = Streams(ids, streams, window)\n"
        "        for step in range(0, batches.steps_per_epoch, 50):\n"
        "            stack_batches(batches, step, 1, 1)\n"
        "print(len(ids) >> 20, peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    length, growth = map(int, done.stdout.split())
    assert length >= 199 and growth < 100


def test_giving_back_changes_nothing(tmp_path):
    write_ids(tmp_path / "ids", KEY, [np.arange(200, dtype=np.uint8)])
    for ids in (open_ids(tmp_path / "ids", KEY), np.arange(200)):
        batches = Streams(ids[10:150][5:], streams=2, window=3)
        taken = [stack_batches(batches, 1, 2, 2) for _ in range(2)]
        assert all((a == b).all() for a, b in zip(*taken, strict=True))
        assert taken[0].inputs.dtype == np.int32
        give_back(ids[3:])
        assert ids[3] == 3
