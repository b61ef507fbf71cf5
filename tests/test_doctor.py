"""``charrnn doctor``: each planted fault is found, and nothing else; what it says mends it."""

import base64
import json
import random
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from charrnn_doctor.examination import Examination, examine
from charrnn_doctor.prescription import prescribe

from charrnn_core import CorpusError, RunConfig, SourcePlugin, hookimpl
from charrnn_core.errors import PluginError
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.text.wrappers import Wrapper, find_wrapper
from tests.conftest import SHARED

_WORDS = 6000


def prose(seed: int = 0, letters: str = "etaoinsrhldcumfpgwyb") -> str:
    """A text of words that nobody has written, in lines of some seventy characters."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(900)]
    lines, line = [], ""
    for _ in range(_WORDS):
        word = draw.choice(words) + draw.choice([""] * 9 + [",", "."])
        if len(line) + len(word) > 70:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line]) + "\n"


CLEAN = prose()
ACCENTED = CLEAN.replace("be", "bé").replace("ou", "où")
SPACED = CLEAN.replace(" a", "\xa0a")

HEADER = """The Project Gutenberg EBook of Joy, by A. Nobody

Title: Joy
Author: A. Nobody

*** START OF THE PROJECT GUTENBERG EBOOK JOY ***

"""
FOOTER = "\n*** END OF THE PROJECT GUTENBERG EBOOK JOY ***\n\n" + "The licence of Gutenberg.\n" * 9


def repeated(text: str) -> str:
    """A fifth of the training part once more within it."""
    fifth = len(text) // 5
    return text[:fifth] + text[:fifth] + text[fifth:]


def overlapping(text: str) -> str:
    """The last part with a quarter of it from the beginning."""
    size = len(text) // 40
    return text[: -2 * size] + text[:size] + text[-size:]


def two_forms(text: str) -> str:
    return text[: len(text) // 2] + unicodedata.normalize("NFD", text[len(text) // 2 :])


FAULTS: dict[str, tuple[str, str, bytes]] = {
    "latin-1": ("encoding", "mend", ACCENTED.encode("latin-1")),
    "utf-16": ("encoding", "mend", ACCENTED.encode("utf-16")),
    "a few bad bytes": ("encoding", "mend", ACCENTED.encode().replace(b"te", b"t\xffe", 9)),
    "a bad byte in ASCII": ("encoding", "mend", CLEAN.encode().replace(b" t", b" 4\xd7 t", 1)),
    "CR LF": ("line-ends", "note", CLEAN.replace("\n", "\r\n").encode()),
    "mixed line ends": ("line-ends", "note", CLEAN.replace("a\n", "a\r\n").encode()),
    "CR alone": ("line-ends", "note", CLEAN.replace("\n", "\r").encode()),
    "controls": ("control-characters", "mend", CLEAN.replace(" a", " \x07a", 9).encode()),
    "NUL": ("control-characters", "mend", CLEAN.replace(" a", "\0a", 20).encode()),
    "C1": ("control-characters", "mend", CLEAN.replace(" a", " \x92a", 20).encode()),
    "replaced": ("replacement-characters", "mend", CLEAN.replace("en", "e\ufffd", 9).encode()),
    "zero width": ("invisible-characters", "mend", CLEAN.replace(" a", " \u200ba", 9).encode()),
    "a mark within": ("invisible-characters", "mend", (CLEAN + "\ufeff" + prose(1)).encode()),
    "spaces": ("spaces", "mend", SPACED.encode()),
    "two forms": ("two-forms", "mend", two_forms(ACCENTED).encode()),
    "mojibake": ("mojibake", "mend", ACCENTED.encode().decode("cp1252", "ignore").encode()),
    "Gutenberg": ("wrapper", "mend", (HEADER + CLEAN + FOOTER).encode()),
    "Gutenberg twice": (
        "wrapper", "mend", (HEADER + CLEAN + FOOTER + HEADER + prose(1) + FOOTER).encode(),
    ),
    "repeats": ("repeats", "mend", repeated(CLEAN).encode()),
    "overlap": ("overlap", "mend", overlapping(CLEAN).encode()),
    "a long line": (
        "long-lines", "mend",
        CLEAN.replace("\n", f"\n{base64.b64encode(random.Random(0).randbytes(9000)).decode()}\n", 1)
        .encode(),
    ),
}  # fmt: skip
"""What is planted: what is found, whether it should be mended, and the bytes."""

MENDED_BY_THE_COMMAND = (
    "latin-1", "utf-16", "controls", "NUL", "zero width", "a mark within", "spaces", "two forms",
    "mojibake", "Gutenberg", "Gutenberg twice",
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))


def looked_at(path: Path, **options: str) -> Examination:
    source = Ref("file", str(path), options)
    return examine(RunConfig(source=source), Registry.installed())


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a text.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_nothing_else(tmp_path, fault):
    name, level, data = FAULTS[fault]
    found = looked_at(written(tmp_path, data))
    assert [(each.name, each.mend) for each in found.findings] == [(name, level == "mend")]
    [finding] = found.findings
    assert finding.remedy and 0 < finding.share <= 1
    assert all("line " in example for example in finding.examples)


@pytest.mark.parametrize(
    "text", [CLEAN, ACCENTED, prose(3, "电子书的一是不了在人有我他这为之"), "ab" * 40]
)
def test_a_clean_text_is_clean(tmp_path, text):
    found = looked_at(written(tmp_path, text.encode()))
    assert not found.findings and not found.must_mend


def test_what_the_held_out_part_repeats_of_itself_is_no_overlap(tmp_path):
    end = prose(1)[:2000]
    found = looked_at(written(tmp_path, (CLEAN + end + end).encode()))
    assert found.copies.held_out >= 2 * len(end) and found.copies.shared_share == 0


def test_counting_is_of_the_parts_that_a_run_has(tmp_path):
    found = looked_at(written(tmp_path, CLEAN.encode()))
    floor, copies = found.floor, found.copies
    assert (floor.training, floor.held_out) == (copies.training, copies.held_out)
    assert copies.held_out == len(CLEAN) - int(0.9 * len(CLEAN)) and not floor.sampled


@pytest.mark.parametrize("fault", MENDED_BY_THE_COMMAND)
def test_the_command_mends_it(tmp_path, fault):
    """What the pipeline gives the run, or the options of the source, have no fault any more."""
    path = written(tmp_path, FAULTS[fault][2])
    found = looked_at(path)
    command = prescribe(found.source, found.findings, [], Registry.installed())
    *filters, run = command.split(" | ")
    for needed in ("iconv", "sed", "tr", "perl", "python3"):
        if any(needed in each for each in filters) and shutil.which(needed) is None:
            pytest.skip(f"{needed} is absent")
    assert "run --source" in run
    if filters:
        assert run.endswith("--source -")
        done = subprocess.run(["sh", "-c", " | ".join(filters)], capture_output=True, check=True)
        assert not looked_at(written(tmp_path, done.stdout)).findings
    else:
        [option] = [word for word in run.split() if word.startswith("encoding=")]
        again = looked_at(path, encoding=option.removeprefix("encoding="))
        assert not again.findings and again.text.body == ACCENTED


def test_utf8_that_is_read_as_something_else(tmp_path):
    found = looked_at(written(tmp_path, ACCENTED.encode()), encoding="cp1252", errors="replace")
    assert [each.name for each in found.findings] == ["encoding"]
    assert found.text.body == ACCENTED
    assert "encoding" not in prescribe(found.source, found.findings, [], Registry.installed())


def test_what_is_no_text_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="PDF"):
        looked_at(written(tmp_path, b"%PDF-1.4" + bytes(range(256)) * 9))
    with pytest.raises(CorpusError, match="binary"):
        looked_at(written(tmp_path, bytes(range(1, 256)) * 99))


def test_findings_come_in_order_of_weight(tmp_path):
    few = CLEAN.replace(" a", " \x07a", 9)
    data = repeated(few).replace("\n", "\r\n").encode()
    names = [each.name for each in looked_at(written(tmp_path, data)).findings]
    assert names == ["repeats", "control-characters", "line-ends"]


def test_lines_are_those_of_the_file(tmp_path):
    data = HEADER + CLEAN[:30000] + "\x07\n" + CLEAN[30000:] + FOOTER
    found = looked_at(written(tmp_path, data.encode()))
    [control] = [each for each in found.findings if each.name == "control-characters"]
    line = data.count("\n", 0, data.index("\x07")) + 1
    assert control.examples[0].startswith(f"line {line:,} ")


def test_rare_faults_are_only_noted(tmp_path):
    text = "".join(map(prose, range(4)))
    found = looked_at(written(tmp_path, text.replace(" a", "\0a", 1).encode()))
    assert [(each.name, each.mend) for each in found.findings] == [("control-characters", False)]


def test_a_directory_and_its_notes(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text(CLEAN)
    (tmp_path / "texts" / "two.txt").write_text(prose(1).replace("\n", "\r\n"))
    (tmp_path / "texts" / "three.png").write_bytes(b"\x89PNG\r\n\0")
    found = looked_at(tmp_path / "texts")
    assert [each.name for each in found.findings] == ["line-ends"]
    assert len(found.notes) == 1 and "not text" in found.notes[0]
    assert found.text.body == CLEAN + prose(1)


SHARED_TEXTS: dict[str, Callable[[], RunConfig]] = {
    "shakespeare": lambda: RunConfig(source=str(SHARED / "corpora/tinyshakespeare.txt")),
    "book": lambda: RunConfig(source="gutenberg:520"),
    "python-docs": lambda: RunConfig(),
}


@pytest.mark.parametrize("name", SHARED_TEXTS)
def test_no_false_alarm(name, monkeypatch):
    if name != "python-docs" and not SHARED.is_dir():
        pytest.skip("../shared is absent")
    monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", str(SHARED / "gutenberg"))
    assert not examine(SHARED_TEXTS[name](), Registry.installed()).findings


def test_a_book_with_its_wrapper(mirror, monkeypatch):
    book = next(mirror.glob("5/2/520/*.txt"))
    found = looked_at(book)
    assert [each.name for each in found.findings] == ["wrapper", "line-ends"]
    monkeypatch.setenv("CHARRNN_GUTENBERG_MIRROR", str(mirror))
    cut = examine(RunConfig(source="gutenberg:520"), Registry.installed())
    assert found.text.body.strip("\n") == cut.text.body.strip("\n")


def test_the_command(charrnn, tmp_path):
    path = written(tmp_path, repeated(CLEAN).encode())
    done = charrnn("doctor", path, "--no-probe", "--cell", "elman:8")
    assert done.returncode == 1 and done.stderr == f"reading {path} ...\n"
    assert "repeats: 1" in done.stdout and "1 thing to mend" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f"run --source '{path}' --cell elman:8")
    path.write_text(CLEAN)
    done = charrnn("doctor", path, "--no-probe")
    assert done.returncode == 0 and "nothing to mend" in done.stdout
    assert len(done.stdout.splitlines()) <= 8


@pytest.mark.slow
def test_its_json_has_what_a_run_would_do(charrnn, tmp_path):
    path = written(tmp_path, CLEAN.encode())
    arguments = ["doctor", path, "--json", "--cell", "elman:8", "--chars", "3000"]
    done = charrnn(*arguments)
    assert done.returncode == 0 and not done.stderr
    table = json.loads(done.stdout)
    assert table["findings"] == [] and table["mend"] is False
    assert table["default"]["cell"] == "elman" and table["default"]["widths"] == [8]
    assert table["default"]["minutes"] > 0
    assert table["default"]["passes"] == pytest.approx(3000 / table["training_characters"], rel=0.5)
    assert [row["name"] for row in table["baselines"]] == ["unigram", "n-gram, order 6", "xz -9e"]


def test_errors_are_one_line(charrnn, tmp_path):
    done = charrnn("doctor", "nowhere.txt")
    assert done.returncode in (1, 2) and len(done.stderr.splitlines()) == 1
    done = charrnn("doctor", written(tmp_path, b""), "--no-probe")
    assert done.returncode == 1 and "empty" in done.stderr


def test_without_a_probe_jax_is_not_imported(tmp_path):
    program = (
        "import sys; from charrnn.cli import cli\n"
        "cli(['doctor', sys.argv[1], '--no-probe'], standalone_mode=False)\n"
    )
    code = f"import atexit, sys\natexit.register(lambda: print('jax' in sys.modules))\n{program}"
    path = written(tmp_path, CLEAN.encode())
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_licence_in_a_file_with_old_line_ends(tmp_path):
    text = (HEADER + ACCENTED + FOOTER).replace("\n", "\r").encode("latin-1")
    found = looked_at(written(tmp_path, text))
    assert [each.name for each in found.findings] == ["encoding", "wrapper", "line-ends"]
    command = prescribe(found.source, found.findings, ["--cell", "gru"], Registry.installed())
    assert command.endswith("run --source - --cell gru")
    steps = command.rpartition(" | ")[0]
    done = subprocess.run(["sh", "-c", steps], capture_output=True, check=True)
    assert not looked_at(written(tmp_path, done.stdout)).findings
    assert done.stdout.decode().strip() == ACCENTED.strip()


def wrapped(spans: object) -> Registry:
    """The registry with a source that tells of this wrapper, whatever the text."""
    registry = Registry()
    plugin = SourcePlugin(name="theirs", target=print, wrapper=lambda text: spans)  # pyright: ignore

    class Theirs:
        @staticmethod
        @hookimpl
        def charrnn_sources():
            yield plugin

    registry.add(lambda: Theirs, "theirs")
    return registry


def test_a_source_of_theirs_tells_of_its_wrapper():
    assert find_wrapper("a text", wrapped([(0, 2)])) == Wrapper("theirs", ((0, 2),))
    assert find_wrapper("a text", wrapped([])) is None


@pytest.mark.parametrize("spans", [[(2, 1)], [(0, 99)], [(3, 4), (0, 1)], 7, [("a", "b")]])
def test_a_source_that_tells_nonsense_is_blamed(spans):
    with pytest.raises(PluginError, match="theirs"):
        find_wrapper("a text", wrapped(spans))
