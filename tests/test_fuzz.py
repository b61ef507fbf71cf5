"""Any bytes give a result or an error of ours; the targets, and how to fuzz them, in tests/fuzz."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest
from charrnn_text.files import find_files
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn_core.errors import OptionError, SourceError, UsageError
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.settings_file import read_toml
from tests.fuzz import nasty, targets

FUZZ = Path(__file__).resolve().parent / "fuzz"
every_target = pytest.mark.parametrize("target", targets.TARGETS)


def corpus(target: str) -> list[Path]:
    return sorted((FUZZ / "corpus" / target).iterdir())


@every_target
def test_what_fuzzing_kept(target):
    for path in corpus(target):
        try:
            targets.TARGETS[target](path.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {path}")
            raise


@every_target
def test_the_corpus_is_small(target):
    assert 10 <= len(corpus(target)) <= 60
    assert all(path.stat().st_size < 4096 for path in corpus(target))


@every_target
def test_little_memory_and_time_are_enough_for_the_nastiest_input(target):
    done = subprocess.run(
        [sys.executable, "-W", "error", FUZZ / "limited.py", target],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(done.stdout.splitlines()) == 1 + sum(1 for _ in nasty.nasty(target))


@every_target
@settings(max_examples=300)
@given(data=st.binary(max_size=400))
def test_any_bytes(target, data):
    targets.TARGETS[target](data)


def joined(*pieces: str) -> st.SearchStrategy[str]:
    """Texts of these pieces and of some others, in any order."""
    return st.lists(st.sampled_from(pieces) | st.text(max_size=3), max_size=20).map("".join)


@example("~\0")
@settings(max_examples=200)
@given(
    joined("elman", "dist/", ":", "256", ",", "*", "*2", "*64", "*0", "gutenberg:", "520", "file:",
           "..", "/", "~", "**/", "?", "[", "]", "one.txt", "stacked:", "\0", "\n", " ", "\u0665")
    | st.tuples(
        st.sampled_from(sorted(targets.SETTINGS)),
        joined("1", "9" * 19, "_", "e", "-", ".", ",", "none", "true", "streams", "elman:8"),
    ).map("=".join)
)  # fmt: skip
def test_texts_like_specs(text):
    targets.spec(text.encode("utf-8", "surrogatepass"))


BLANKS = "\n" * 300
BODY = "\n".join(f"Line {n} of a tale nobody has told." for n in range(20))
STARTS = (
    "*** START OF THE PROJECT GUTENBERG EBOOK A TALE ***",
    "*** START OF THIS PROJECT GUTENBERG EBOOK A TALE WHOSE TITLE\nRUNS ON ***",
    "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
    "*****These eBooks Were Prepared By Thousands of Volunteers!*****",
)
ENDS = (
    "*** END OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK A TALE ***",
    "The End of Project Gutenberg's A Tale, by Nobody",
    "Ende dieses Projekt Gutenberg Etextes: A Tale",
)
CREDITS = ("Produced by Nobody", "This e-text was prepared by Nobody\n", "produced by")
ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "cp037", "utf-7")


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from([*STARTS, *ENDS, *CREDITS, BODY, BODY, BLANKS, "***", " " * 90, "\t", ""])
        | st.sampled_from(ENCODINGS).map("Character set encoding: {}".format)
        | st.text(max_size=20),
        max_size=12,
    ),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n \n"]),
    st.sampled_from(ENCODINGS),
)
@example([BLANKS * 5, STARTS[0], *[BODY] * 60], "\n", "utf-8")
@example([BODY, ENDS[0], "licence", BLANKS * 9], "\n", "utf-8")
def test_texts_like_books(lines, newline, encoding):
    targets.stripper(newline.join(lines).encode(encoding, "replace"))


keys = st.sampled_from(
    [*sorted(targets.SETTINGS), "recipe", "use", "layers", "a.b", "'a b'", '""']
) | (st.text(st.sampled_from("abz-_.\"' "), max_size=4))
scalars = st.sampled_from(
    ["1", "0", "-1", "1_0", "0x1f", "9" * 19, "9" * 4301, "0x" + "f" * 400, "0.5", "-0.0", "1e999",
     "inf", "nan", "true", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", '"elman:8"', "'a,b*3'",
     '"auto"', '"\\u0000"', '"""\n\na"""', '"\\x"', "", "#"]
)  # fmt: skip


def nested(base, around, depth=3):
    """Values, and values inside values, that deep."""
    for _ in range(depth):
        base = base | around(base)
    return base


values = nested(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(keys, inner, max_size=2).map(
            lambda table: f"{{{', '.join(f'{key} = {value}' for key, value in table.items())}}}"
        )
    ),
)
toml_lines = (
    st.tuples(keys, values).map(" = ".join)
    | keys.map("[{}]".format)
    | keys.map("[[{}]]".format)
    | st.text(max_size=6)
)


@settings(max_examples=300)
@given(st.lists(toml_lines, max_size=6).map("\n".join))
def test_texts_like_toml(text):
    targets.config(text.encode("utf-8", "replace"))


plain = nested(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=5) | st.just(msgpack.Timestamp(1, 2)) | st.just(msgpack.ExtType(3, b"a")),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)  # fmt: skip
lengths = st.lists(st.integers(0, 3), max_size=3)
changes = st.dictionaries(st.sampled_from([*nasty.array()]), plain | lengths, max_size=1)


@settings(max_examples=200)
@given(
    st.dictionaries(st.text(max_size=3), plain) | plain,
    st.lists(changes.map(lambda change: nasty.array(**change)), max_size=2) | plain,
    st.binary(max_size=9),
)
@example({}, [nasty.array(shape=[], dtype="bool")], b"\1")
def test_headers_with_the_right_digest(table, arrays, data):
    targets.checkpoint(nasty.header(table, arrays, data))


@pytest.mark.parametrize(
    "text, message",
    [
        ("batch = 0x" + "f" * 400, ": 'batch' has an integer of more than 64 bits"),
        ("batch = " + "9" * 5000, " is not TOML: Exceeds the limit"),
        ("batch = " + "[" * 5000, " has values that are nested too deep"),
        ("cell.x = " + "[" * 99 + "]" * 99, ": 'cell' is nested more than 64 deep"),
        ("cell." + "a." * 32 + "a = 1", " is not TOML: a key has more than 32 parts"),
        ("#" * 2**21, " has more than 1048576 bytes; expected settings in TOML"),
    ],
)
def test_a_file_that_cannot_be_a_configuration_is_named(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=re.escape(f"{path}{message}")):
        read_toml(path)


def test_a_program_too_may_give_what_cannot_be_shown():
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    deeply = r"type list, too large|\[{20}"  # from Python 3.12 on it can be shown, cut short
    for value, message in ((10**5000, "type int, too large"), (deep, deeply)):
        for setting in ({"batch": value}, {"cell": value}, {"sampler": [value]}):
            with pytest.raises(UsageError, match=message):
                RunConfig(**setting)


def test_dots_in_texts_are_no_long_keys(tmp_path):
    path = tmp_path / "run.toml"
    prompt = "One " + "." * 500 + " 1, e.g. two. Three"
    path.write_text(f"prompt = '{prompt}'\ncell.{'a.' * 20}b = 1\n")
    assert read_toml(path)["prompt"] == prompt


def test_a_file_is_found_once(tmp_path):
    for name in ("one.txt", "a/two.txt", "a/b/three.txt", "a/b/four.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find_files(f"{tmp_path}/**/**/**/*.txt")
    assert [path.name for path in found] == ["three.txt", "two.txt", "one.txt"]


@pytest.mark.parametrize("user", ["~nobody-of-that-name/x", "~\0"])
def test_an_unknown_home(user):
    with pytest.raises(SourceError, match="cannot look for '~"):
        find_files(user)


def test_the_envelopes_reach_the_parser():
    file = nasty.header({"step": 1}, [nasty.array(shape=[2], nbytes=2)], b"\1\2")
    loaded = targets.load(targets.enveloped(file))
    assert loaded and loaded.table == {"step": 1} and loaded.arrays["a"].tolist() == [1, 2]
    assert targets.load(targets.sealed(targets.enveloped(file)[:-32])) is not None
    assert targets.load(targets.enveloped(file)[:-1]) is None


def test_the_settings_are_those_of_a_run():
    assert {"batch", "sampler"} < targets.SETTINGS == {*vars(RunConfig())}
