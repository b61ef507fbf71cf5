"""``--alphabet bytes``: 256 symbols for any text, from the prompt to the last sample."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CheckpointError, CorpusError, OptionError
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.model import alphabet_of
from charrnn_core.sampling.draw import Drawn
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.sampling.text import written
from charrnn_core.text.alphabet import ALPHABETS, Alphabet, ByteAlphabet, read_alphabet

any_text = st.text(st.characters(exclude_categories=()))
some_bytes = st.lists(
    st.sampled_from([b"a", "é".encode(), "—".encode(), "\U0001f98a".encode(), b"\xff", b"\xe2"])
).map(b"".join)


@given(any_text)
def test_every_text_has_bytes(text):
    ids = ByteAlphabet().encode(text)
    assert ids.dtype == np.int32 and set(ids.tolist()) <= set(range(256))
    if not any("\ud800" <= symbol <= "\udfff" for symbol in text):
        assert bytes(ids.tolist()) == text.encode()
        assert ByteAlphabet().decode(ids) == text


@given(st.binary())
def test_bytes_that_are_no_text_go_in_and_come_out(data):
    text = data.decode("utf-8", "surrogateescape")
    assert bytes(ByteAlphabet().encode(text).tolist()) == data
    assert ByteAlphabet().decode(list(data)) == data.decode("utf-8", "replace")


def test_other_surrogates_are_three_bytes():
    assert bytes(ByteAlphabet().encode("a\ud800\udcff").tolist()) == b"a\xed\xa0\x80\xff"


def texts_of(pieces, alphabet, n):
    items = written(map(Drawn, pieces), alphabet, n)
    return [[piece.text for piece in item] for item in items]


@given(st.lists(some_bytes, min_size=1, max_size=3), st.lists(st.integers(1, 4), max_size=30))
def test_characters_that_are_split_over_pieces_come_out_whole(rows, sizes):
    length = min(map(len, rows))
    ids = np.array([list(row[:length]) for row in rows], np.int32).reshape(len(rows), length).T
    places = [0, *(p for p in np.cumsum(sizes).tolist() if p < length), length]
    pieces = [ids[a:b] for a, b in zip(places, places[1:], strict=False)]
    texts = texts_of(pieces, ByteAlphabet(), len(rows))
    joined = ["".join(parts) for parts in zip(*texts, strict=True)] or [""] * len(rows)
    assert joined == [row[:length].decode("utf-8", "replace") for row in rows]


def test_pieces_of_characters_have_nothing_left_over():
    alphabet = Alphabet("ab")
    pieces = [np.array([[0, 1], [1, 1]]), np.array([[0, 0]])]
    texts = texts_of(pieces, alphabet, 2)
    assert list(texts) == [["ab", "bb"], ["a", "a"]]


def test_the_alphabet_in_a_checkpoint():
    for alphabet in (ByteAlphabet(), Alphabet("bytes"), Alphabet("é\U0001f98a\ud800")):
        assert read_alphabet(json.loads(json.dumps(alphabet.table()))) == alphabet
    assert len(ByteAlphabet()) == 256 and ByteAlphabet.of("any") == ByteAlphabet()
    assert Alphabet(ByteAlphabet().symbols) != ByteAlphabet()
    assert len({ByteAlphabet(), ByteAlphabet()}) == 1
    for wrong in (None, 5, "chars", [-1], [2**70], ["a"], [97, 97]):
        with pytest.raises(CorpusError):
            read_alphabet(wrong)
        with pytest.raises(CheckpointError, match="no valid alphabet"):
            alphabet_of({"alphabet": wrong})


def test_configurations_from_before_have_characters():
    assert RunConfig.read({"cell": "elman"}).alphabet == "chars"
    assert set(ALPHABETS) == {"chars", "bytes"}
    with pytest.raises(OptionError, match="'chars' or 'bytes'"):
        RunConfig(alphabet="words")  # type: ignore[arg-type]


def test_settings_that_no_file_can_keep_are_refused():
    for settings in ({"prompt": "\udcff"}, {"source": "file:b\udcff.txt"}):
        with pytest.raises(OptionError, match=r"'\\udcff', a byte that is not UTF-8") as error:
            RunConfig(**settings)
        assert str(error.value).isprintable()


def test_an_empty_prompt_is_the_beginning_of_a_line():
    assert encode_prompt(ByteAlphabet(), "").tolist() == [10]


def output(directory, *command: str) -> bytes:
    """What a command in a process of its own writes, as bytes."""
    whole = [sys.executable, "-m", "charrnn_core", *command]
    return subprocess.run(whole, stdout=subprocess.PIPE, cwd=directory, check=True).stdout


def test_a_model_of_bytes_from_run_to_sample(charrnn, tmp_path):
    line = "Zoë — “héllo”, wörld ☃\r\n"
    (tmp_path / "text.txt").write_bytes(line.encode() * 150)
    size = "--batch 4 --window 16 --unroll scan --context 0 --counts 0 --dropout-output 0.2".split()
    size += "--dropout-context 0 --dropout-rare 0".split()
    ran = charrnn(
        "run", "--alphabet", "bytes", "--source", "text.txt", "--cell", "elman:24", "--out", "a",
        "--characters", 20000, "--prompt", "☃\n", "--quiet", *size,
    )  # fmt: skip
    held_out = len(line.encode()) * 15 - 15  # without the carriage returns
    assert f"(valid part of last-10%, {held_out:,} bytes)" in ran.stdout, ran.stderr
    kept = "(keep them with --source-opt newlines=keep)"
    assert ran.stderr == f"note: text.txt: 150 CR LF were read as line ends LF {kept}\n"
    info = json.loads(charrnn("info", "a", "--json").stdout)
    assert (info["config"]["alphabet"], len(info["alphabet"])) == ("bytes", 256)
    assert info["corpus"]["characters"] == (len(line) - 1) * 150
    assert "alphabet  the 256 bytes" in charrnn("info", "a").stdout
    (tmp_path / "prompt").write_bytes("日本\n".encode() + b"\xff\nZo")
    sampled = output(tmp_path, "sample", "a", "--length", "300", "--prompt-file", "prompt")
    assert sampled.startswith((tmp_path / "prompt").read_bytes()) and "héllo".encode() in sampled
    evaluated = charrnn("eval", "a")
    assert "bits per byte" in evaluated.stdout and f"{held_out:,} bytes)" in evaluated.stdout
    resumed = charrnn("resume", "a", "--characters", 24000)
    assert "bits per byte" in resumed.stdout, resumed.stderr
    wrong = charrnn("run", "--init-from", "a", "--alphabet", "chars", "--source", "text.txt")
    assert wrong.returncode == 2 and "use: --alphabet bytes" in wrong.stderr


def test_characters_that_stand_for_bytes_are_written_as_bytes(charrnn, tmp_path):
    (tmp_path / "text.txt").write_bytes(b"caf\xe9 cr\xe8me\n" * 100)
    config = ["--cell", "elman:8", "--unroll", "scan", "--characters", 900, "--out", "a"]
    refused = charrnn("run", "--source", "text.txt", *config)
    assert "is not UTF-8: byte 0xe9 at offset 3" in refused.stderr
    ran = charrnn("run", "--source", "text.txt", "--source-opt", "errors=escape", *config)
    assert ran.returncode == 0, ran.stderr
    sampled = output(tmp_path, "sample", "a", "--length", "200")
    assert b"\xe9" in sampled and set(sampled) <= set(b"caf\xe9 cr\xe8me\n")
