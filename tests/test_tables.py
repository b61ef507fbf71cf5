"""The sources csv:FILE#COLUMN and jsonl:FILE#FIELD: rows that are documents."""

import csv as writing
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from charrnn_text import CSVOptions, FileOptions, RowOptions
from charrnn_text.files import file
from charrnn_text.tables import csv, jsonl
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import RunConfig
from charrnn_core.errors import CharRNNError, CorpusError, SourceError, UnknownNameError
from charrnn_core.testing import check
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.fitting import with_documents
from charrnn_core.training.setup import prepare

TWEETS = ["a fox", "a \N{FOX FACE} and\na loop", "", None, "the end"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Notes(list[str]):
    @property
    def context(self) -> SourceContext:
        return SourceContext(Path("/nonexistent"), offline=True, note=self.append)


@pytest.fixture
def notes() -> Notes:
    return Notes()


def read(spec: str, notes: Notes | None = None, **options: Any) -> Corpus:
    source, _, argument = spec.partition(":")
    context = (Notes() if notes is None else notes).context
    if source == "csv":
        return csv(argument, CSVOptions(**options), context)
    return jsonl(argument, RowOptions(**options), context)


def error(kind: type[CharRNNError], spec: str, **options: str) -> str:
    with pytest.raises(kind) as caught:
        read(spec, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


def write(path: str, data: bytes | str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data.encode() if isinstance(data, str) else data)


def write_jsonl(path: str, texts: list[str | None], field: str = "text", **settings) -> None:
    lines = [json.dumps({"id": n, field: text}, **settings) for n, text in enumerate(texts)]
    write(path, "\n".join(lines) + "\n")


def write_csv(path: str, texts: list[str | None], delimiter: str = ",", end: str = "\r\n") -> None:
    file = io.StringIO(newline="")
    writer = writing.writer(file, delimiter=delimiter, lineterminator=end)
    writer.writerows([["id", "text"], *([n, text] for n, text in enumerate(texts))])
    write(path, file.getvalue())


# --- what they read ---


@pytest.mark.parametrize("spec", ["jsonl:t.jsonl#text", "csv:t.csv#text"])
def test_each_row_is_a_document(here, notes, spec):
    write_jsonl("t.jsonl", TWEETS)
    write_csv("t.csv", TWEETS)
    corpus = read(spec, notes)
    assert corpus.text == "a fox\n\na \N{FOX FACE} and\na loop\n\nthe end\n\n"
    assert (corpus.name, corpus.documents) == (spec, "blank")
    assert corpus.origin == str(here / spec.partition(":")[2])
    assert notes == [f"note: {spec}: 2 of 5 rows have no text and are skipped"]


@pytest.mark.parametrize(
    ("texts", "text", "documents"),
    [
        (["a", "b"], "a\nb\n", "lines"),
        (["\na\r\n", "b\r"], "a\nb\n", "lines"),
        (["a\r\nb", "c\rd"], "a\nb\n\nc\nd\n\n", "blank"),
        (["a\n\nb", "c"], "a\n\nb\n\n\nc\n\n\n", "\n\n\n"),
        (["a\n\n\n\nb", "c"], "a\n\n\n\nb\x1ec\x1e", "\x1e"),
        ([" ", "b"], "b\n", "lines"),
    ],
)
def test_documents_end_with_what_none_contains(texts, text, documents):
    write_jsonl("t.jsonl", texts)
    write_csv("t.csv", texts)
    for corpus in (read("jsonl:t.jsonl#text"), read("csv:t.csv#text")):
        assert (corpus.text, corpus.documents) == (text, documents)


def test_nothing_may_be_left_to_end_a_document():
    write_jsonl("t.jsonl", ["a\n\n\nb\x1ec"])
    assert "U+001E" in error(CorpusError, "jsonl:t.jsonl#text")


texts = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x1e\0")))


@given(texts.filter(lambda texts: any(map(str.strip, texts))))
def test_every_text_comes_back(texts):
    write_jsonl("t.jsonl", texts)
    write_csv("t.csv", texts)
    for corpus in (read("jsonl:t.jsonl#text"), read("csv:t.csv#text")):
        ends = {"lines": "\n", "blank": "\n\n"}
        separator = ends.get(str(corpus.documents), str(corpus.documents))
        assert corpus.text is not None and corpus.text.endswith(separator)
        found = corpus.text.removesuffix(separator).split(separator)
        assert found == [kept for text in texts if (kept := text.strip("\n")).strip()]


def test_surrogates(notes):
    write("t.jsonl", r'{"text": "\ud83e\udd8a"}' + "\n" + r'{"text": "\ud83d!\udc00"}')
    assert read("jsonl:t.jsonl#text", notes).text == "\N{FOX FACE}\n\ufffd!\ufffd\n"
    assert notes == ["note: jsonl:t.jsonl#text: 2 halves of surrogate pairs were read as U+FFFD"]


def test_marks_patterns_and_packed_files():
    write("a.jsonl", b"\xef\xbb\xbf" + b'{"text": "one"}\r\n\r\n{"text": "two"}')
    write("b.jsonl.gz", gzip.compress(b'{"text": "three"}'))
    assert read("jsonl:*.jsonl*#text").text == "one\ntwo\nthree\n"
    write("a.csv", b"\xef\xbb\xbftext\r\none\r\n\r\ntwo")
    assert read("csv:a.csv#text").text == "one\ntwo\n"


@pytest.mark.parametrize(
    ("path", "delimiter", "options"),
    [("t.tsv", "\t", {}), ("t.TSV.csv", ",", {}), ("t.csv", ";", {"delimiter": "semicolon"})]
    + [("t.txt", "|", {"delimiter": "pipe"}), ("t.csv", "\t", {"delimiter": "tab"})],
)
def test_delimiters(path, delimiter, options):
    write_csv(path, ["a, b; c\t|", "d"], delimiter)
    assert read(f"csv:{path}#text", **options).text == "a, b; c\t|\nd\n"


def test_a_name_with_a_hash():
    write_jsonl("a#b.jsonl", ["fox"])
    assert read("jsonl:a#b.jsonl#text").text == "fox\n"


def test_long_tables_are_read_in_pieces(monkeypatch):
    texts = [f"line {n} of\na tale" * 9 for n in range(3000)]
    write_jsonl("t.jsonl", texts)
    write_csv("t.csv", texts)
    whole = read("jsonl:t.jsonl#text")
    monkeypatch.setattr("charrnn_text.rows.LARGEST_TEXT", 1000)
    for corpus in (read("jsonl:t.jsonl#text"), read("csv:t.csv#text")):
        assert corpus.text is None and corpus.sha256 == whole.sha256
        assert max(map(len, corpus.read())) < 200_000 and len([*corpus.read()]) > 2


def test_a_field_may_be_as_long_as_a_book():
    write_csv("t.csv", ["la " * 100_000])
    assert read("csv:t.csv#text").characters == 300_001


# --- what they refuse ---


def test_a_missing_column_shows_the_nearest_and_what_there_are():
    write_jsonl("t.jsonl", TWEETS)
    write_csv("t.csv", TWEETS)
    for spec, what in (("jsonl:t.jsonl#txt", "field"), ("csv:t.csv#txt", "column")):
        message = error(UnknownNameError, spec)
        assert f"no {what} of t." in message and "did you mean 'text'?" in message
        assert "available: id, text" in message
    assert "has: id, text" in error(SourceError, "csv:t.csv")
    assert "has: id, text" in error(SourceError, "jsonl:t.jsonl#")


def test_names_cannot_move_the_cursor():
    write("t.csv", '"a\n\x1b[2J",b\n1,2\n')
    assert "b" in error(UnknownNameError, "csv:t.csv#text")


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ('{"text": "a"}\n\n{"text": \n', ["line 3 is not JSON", "object on each line"]),
        ('{"text": "a"}\n["b"]\n', ["line 2 is not a JSON object"]),
        ("[\n" * 100_000, ["line 1"]),
        ("[" * 100_000, ["line 1", "nested too deep"]),
        ('{"text": 5}', ["line 1", "'text'", "int"]),
        ('{"text": ["a"]}', ["line 1", "list"]),
        ('{"n": ' + "9" * 5000 + "}", ["line 1"]),
        ("plain text", ["line 1 is not JSON"]),
    ],
)
def test_a_bad_line_is_numbered(data, parts):
    write("t.jsonl", data)
    message = error(SourceError, "jsonl:t.jsonl#text")
    assert all(part in message for part in ["t.jsonl", *parts]), message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ('id,text\n1,a\n2\n3,"c\nd"\n', ["line 3", "1 columns", "column 2 of 2"]),
        ('id,text\n1,"a\nb', ["line 3", "quote"]),
        ('id,text\n1,"a"b\n', ["line 2", "quote"]),
        ("text,text\na,b\n", ["2 columns named 'text'"]),
    ],
)
def test_a_bad_row_is_numbered(data, parts):
    write("t.csv", data)
    message = error(SourceError, "csv:t.csv#text")
    assert all(part in message for part in ["t.csv", *parts]), message


def test_lines_are_bounded(monkeypatch):
    monkeypatch.setattr("charrnn_text.rows.LONGEST_LINE", 10_000)
    write("t.jsonl", '{"text": "a"}\n' + "x" * 3_000_000)
    assert "line 2 has more than 10000 characters" in error(SourceError, "jsonl:t.jsonl#text")


@pytest.mark.parametrize("data", ["", "text\n", 'text\n""\n'])
def test_no_text_is_an_error(data):
    write("t.csv", data)
    with pytest.raises(CharRNNError, match="empty|none are available"):
        read("csv:t.csv#text")
    write("t.jsonl", '{"text": ""}' if data else "")
    assert "is empty" in error(CorpusError, "jsonl:t.jsonl#text")


def test_bytes_that_are_not_utf8_are_an_error():
    write("t.csv", b"text\ncaf\xe9\n")
    assert "not UTF-8" in error(CorpusError, "csv:t.csv#text")


@pytest.mark.parametrize("argument", ["", "#", "#text", "nowhere.csv#text", "nowhere.csv", "a\0#b"])
def test_no_table_is_an_error(argument):
    error(SourceError, f"csv:{argument}")
    error(SourceError, f"jsonl:{argument}")


# --- the kit, and what a run makes of them ---


@pytest.mark.parametrize("source", ["csv", "jsonl"])
@pytest.mark.parametrize("largest", [1 << 24, 1000], ids=["short", "long"])
def test_the_kit(monkeypatch, source, largest):
    monkeypatch.setattr("charrnn_text.rows.LARGEST_TEXT", largest)
    texts = [f"letter {n}\nof a fox" for n in range(200)]
    {"csv": write_csv, "jsonl": write_jsonl}[source](f"t.{source}", texts)
    outcomes = list(check("source", f"{source}:t.{source}#text"))
    assert [outcome for outcome in outcomes if not outcome.good] == []


def test_raw_tables_are_told_of(notes):
    write_jsonl("t.jsonl", TWEETS)
    write_csv("a b.csv", TWEETS)
    write("t.txt", "fox")
    assert r"\ud83e" in (file("t.jsonl", FileOptions(), notes.context).text or "")
    file("a b.csv", FileOptions(), notes.context)
    file("t.txt", FileOptions(), notes.context)
    said = [note for note in notes if "is read verbatim" in note]
    assert len(said) == 2
    assert "--source 'jsonl:t.jsonl#FIELD'" in said[0]
    assert "--source 'csv:a b.csv#COLUMN'" in said[1]


def test_a_run_starts_afresh_after_each_row():
    write_jsonl("t.jsonl", [f"letter {n}\nof a fox" for n in range(100)])
    settings = {"source": "jsonl:t.jsonl#text", "cell": "elman:4", "characters": 512, "batch": 2}
    quietly = TrainingContext(note=lambda line: None)
    setup = prepare(RunConfig(**settings, window=8).resolve(), quietly)
    assert setup.config.documents == "blank" and len(setup.network.separator) == 2
    assert any("documents is 'blank'" in note for note in setup.notes)
    # It is a setting of the run from then on, which resuming finds, and a user's own comes first.
    for kept in (setup.config, RunConfig(**settings, documents="lines")):
        notes = []
        assert with_documents(kept, setup.corpus, notes) == kept and not notes
    assert RunConfig.read(setup.config.table()).documents == "blank"
    whole = read("jsonl:t.jsonl#text", documents=False)
    assert whole.documents is None and whole.text == setup.corpus.text
    assert with_documents(RunConfig(**settings), whole, []).documents is None


@given(st.binary(max_size=200) | st.text('{}[]",:\\ud8text\n;\r\t0', max_size=60).map(str.encode))
def test_any_bytes_give_a_text_or_one_clear_error(data):
    write("t.jsonl", data)
    write("t.csv", b"text,id\n" + data)
    for spec in ("jsonl:t.jsonl#text", "csv:t.csv#text", "csv:t.csv", "jsonl:t.jsonl"):
        try:
            corpus = read(spec)
        except CharRNNError as caught:
            assert str(caught).isprintable()
        else:
            assert corpus.text and not any("\ud800" <= symbol <= "\udfff" for symbol in corpus.text)
