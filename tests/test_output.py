"""Output that cannot be shown: terminals that lack characters or go away, full streams."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from charrnn_core import RunConfig, terminal
from charrnn_core.errors import OutputError, ReaderLeftError
from charrnn_core.events import Sampled, Started, Stepped
from charrnn_core.runs.opening import open_checkpoint
from tests.conftest import PLAIN_OPTIONS
from tests.resuming import quiet
from tests.signalled import signalled

EVIL = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e\x00"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMAND = [sys.executable, "-m", "charrnn_core"]


def stream(encoding="utf-8", file=None):
    return io.TextIOWrapper(file or io.BytesIO(), encoding, write_through=True)


# What is printed.


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\r", "\x7f", "\u202e", "\u2067"])
def test_what_could_command_a_terminal_is_escaped(character, capsys):
    for err in (False, True):
        terminal.say(f"a{character}b\tc\nd é 😀 \u200d", err=err)
    for said in capsys.readouterr():
        assert said == f"a{ascii(character)[1:-1]}b\tc\nd é 😀 \u200d\n"


def test_json_and_what_is_emitted_are_left_as_they_are(capfdbinary):
    terminal.say_json({"a": "\x7f\x1b\u202eé"})
    terminal.emit(f"{EVIL}é")
    terminal.emit(b"\xff\x1b")
    out = capfdbinary.readouterr().out
    line, _, rest = out.partition(b"\n")
    assert json.loads(line) == {"a": "\x7f\x1b\u202eé"} and line.isascii() and b"\x7f" not in line
    assert rest == f"{EVIL}é".encode() + b"\xff\x1b"


@pytest.mark.parametrize("encoding, shown", [("cp1252", "é \\U0001f600"), ("ascii", "\\xe9")])
def test_what_a_stream_cannot_hold_is_escaped(encoding, shown, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream(encoding))
    terminal.say("é 😀")
    terminal.say("é 😀", err=True)
    terminal.outlet().write("é 😀\n")
    assert sys.stdout.buffer.getvalue().decode(encoding).count(shown) == 2
    assert sys.stderr.buffer.getvalue().decode(encoding).count(shown) == 1


class Gone(io.RawIOBase):
    """A terminal that went away."""

    def writable(self):
        return True

    def write(self, data, /):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("gone", [None, "closed", "away"])
def test_a_display_and_standard_error_never_raise(gone, monkeypatch):
    for name in ("stdout", "stderr"):
        standing = stream(file=Gone() if gone == "away" else None)
        monkeypatch.setattr(sys, name, standing if gone else None)
        if gone == "closed":
            standing.close()
    terminal.say("a", err=True)
    terminal.to_stderr("a")
    for err in (False, True):
        display = terminal.outlet(err=err)
        display.write("a")
        display.flush()
        assert not display.isatty()


# The progress display.


def stepped(**changes):
    given = dict(
        step=1230, epoch=1216.9, characters=10**6, train_nats_per_char=1.145,
        held_out_nats_per_char=1.578, characters_per_second=999_999.0, progress=1.0,
        seconds_left=44_000.0,
    )  # fmt: skip
    return Stepped(**(given | changes))


def shown(width, event, held_out):
    from charrnn_progress.line import Line
    from rich.console import Console

    line, target = Line(), io.StringIO()
    line.show(event, held_out)
    Console(file=target, width=width, force_terminal=True, color_system=None).print(line)
    return re.sub(r"\x1b\[\d*m", "", target.getvalue())


def test_the_training_line_fits_into_80_columns():
    line = shown(80, stepped(), 1.578)
    words = [
        "━━━━━━",
        "100%",
        "train 1.145",
        "held-out 1.578 nats",
        "999,999 chars/s",
        "12:13:20 left",
    ]
    assert [word for word in words if word not in line] == [] and len(line.rstrip("\n")) <= 80
    assert "1.10M chars/s" in shown(80, stepped(characters_per_second=1.1e6), 1.578)
    wide = shown(140, stepped(), 1.578)
    assert "epoch 1216.9" in wide and "2.277 bits" in wide and "━" * 30 in wide
    before = shown(80, stepped(), float("nan"))
    assert "train 1.145 nats" in before and "held-out" not in before and "━━━━━━" in before


@pytest.mark.parametrize("counts, name", [(0, "train"), (4, "train (net)")])
def test_a_loss_without_the_counts_says_so(counts, name, monkeypatch):
    from charrnn_progress.observer import ProgressObserver

    monkeypatch.setattr(sys, "stdout", stream())
    observer = ProgressObserver(None)
    observer.on_start(
        Started(
            directory=Path("run"),
            config=RunConfig(counts=counts).table(),
            parameters=9,
            symbols=2,
            train_characters=9,
            held_out_characters=9,
        )
    )
    observer.on_step(stepped())
    said = sys.stdout.buffer.getvalue().decode()
    assert f"  {name} 1.145 nats  held-out 1.578 nats (2.277 bits)  999,999 chars/s" in said


@pytest.mark.parametrize("held_out", [1.578, float("nan"), 1.2e18])
def test_a_narrow_terminal_loses_the_least_important_parts_and_breaks_no_word(held_out):
    last = None
    for width in range(120, 3, -1):
        [line] = shown(width, stepped(), held_out).splitlines()
        assert len(line) <= width
        parts = {part for part in re.split(r"  +", line.strip()) if "━" not in part}
        assert last is None or parts <= last
        last = parts
    assert last == {"100%"}


def test_an_unencodable_sample_costs_nothing_but_its_looks(monkeypatch):
    from charrnn_progress.observer import ProgressObserver

    monkeypatch.setattr(sys, "stdout", stream("cp1252"))
    observer = ProgressObserver(None)
    observer.on_step(stepped())
    observer.on_sample(Sampled(step=1230, epoch=1.0, prompt="é", text=f"😀\nho\udcff{EVIL}"))
    observer.on_step(stepped(progress=0.5))
    lines = sys.stdout.buffer.getvalue().decode("cp1252").splitlines()
    assert lines[1:3] == ["update 1,230, held-out 1.578 nats:", "    é\\U0001f600"]
    assert lines[3].startswith("    ho\\udcff\\x1b]0;title") and lines[4].startswith(" 50%  epoch")


# Trainings whose output goes nowhere: all of them at once, for each takes seconds.


_ON_ITS_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


def in_a_terminal(arguments, directory, **env):
    """Start a command in a terminal of 80 columns, the other end of which comes back too."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_ITS_TERMINAL, *signalled(*COMMAND, *arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=directory, start_new_session=True,
        env={**os.environ, "TERM": "xterm", **env},
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def read_all(descriptor, until=b"\0", seconds=100.0):
    """What a terminal shows, up to some text or until there is nobody who writes."""
    seen, end = b"", time.monotonic() + seconds
    while until not in seen and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                seen += os.read(descriptor, 65536)
            except OSError:  # the last one who had it open has ended
                break
    return seen.decode()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What became of trainings: in an ascii terminal, in one that went away, and beside `head`."""
    directory = tmp_path_factory.mktemp("output")
    text = "".join(f"Jörg läßt {i * 7 % 100} Äpfel fallen 😀.\n" for i in range(120))
    (directory / "text.txt").write_text(text, encoding="utf-8")

    def run(out, characters):
        return ("run", "--source", directory / "text.txt", "--cell", "elman:4", "--batch", 4,
                "--window", 16, "--characters", characters, "--prompt", "J",
                "--sample-length", 30, *PLAIN_OPTIONS, "--out", out)  # fmt: skip

    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    narrow, its_terminal = in_a_terminal(run("ascii", 3000), directory, **ascii_only)
    left, that_goes_away = in_a_terminal(run("left", 10**9), directory)
    reader, writer = os.pipe()
    os.close(reader)
    unread = subprocess.Popen(
        [*COMMAND, *map(str, run("unread", 3000))], cwd=directory, stdout=writer,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(writer)

    def hang_up():
        read_all(that_goes_away, b"train ")
        os.close(that_goes_away)

    thread = threading.Thread(target=hang_up)
    thread.start()
    ends = {"ascii": [read_all(its_terminal), narrow.wait(60)]}
    ends["unread"] = [unread.communicate(timeout=60)[1], unread.returncode]
    thread.join()
    ends["left"] = ["", left.wait(60)]
    os.close(its_terminal)
    statuses = {
        name: open_checkpoint(directory / name, quiet)[1].table["loop"]["status"] for name in ends
    }
    return directory, ends, statuses


def test_a_terminal_that_cannot_encode_the_text(trained):
    _, ends, statuses = trained
    seen, code = ends["ascii"]
    assert (code, statuses["ascii"]) == (0, "finished") and "Traceback" not in seen
    assert "    J" in seen and r"\xf6" in seen and "held-out  " in seen and seen.isascii()
    assert re.search(r"update [\d,]+, held-out \d\.\d{3} nats .*----", seen)
    assert re.search(r"---.*%.*train \d.*held-out \d.* nats.* chars/s.* left", seen)


def test_a_terminal_that_goes_away(trained):
    _, ends, statuses = trained
    assert ends["left"][1] == 129 and statuses["left"] == "interrupted"


def test_a_training_goes_on_without_a_reader(trained):
    _, ends, statuses = trained
    errors, code = ends["unread"]
    assert (code, statuses["unread"]) == (0, "finished")
    assert "failed" not in errors and "Error" not in errors and "Exception" not in errors


# Commands whose output is their result.


@pytest.fixture
def broken(monkeypatch):
    """Make standard output one that cannot be written to, as `guarded` would."""
    from charrnn_core.console import stdio

    def make(how):
        reader, writer = os.pipe()
        os.close(reader)
        descriptor = {
            "full": lambda: os.open("/dev/full", os.O_WRONLY),
            "closed": lambda: os.open(os.devnull, os.O_RDONLY),
            "unread": lambda: os.dup(writer),
        }[how]()
        os.close(writer)
        output = stdio._Output(descriptor, "<stdout>")
        output.strict = True
        monkeypatch.setattr(stdio, "_streams", [output])
        text = stdio._text(output, "utf-8", line_buffering=False)
        monkeypatch.setattr(sys, "stdout", text)
        return output, text, descriptor

    made = []
    yield lambda how: made.append(make(how)) or made[-1][0]
    for output, text, descriptor in made:
        output.strict = False
        with contextlib.suppress(OutputError, OSError, ValueError):
            text.close()  # from Python 3.13 on, what fails when it is collected is an error
        os.close(descriptor)


@pytest.mark.parametrize(
    "how, command",
    [
        ("full", "sample RUN --length 5 --log-probs -"),
        ("full", "sample RUN --length inf"),
        ("unread", "sample RUN --length inf"),
        ("full", "eval RUN"),
        ("full", "info RUN --json"),
        ("full", "score RUN"),
        ("unread", "score RUN"),
        ("full", "novelty RUN --text J"),
        ("full", "check --list cell elman"),
        ("full", "--help"),
    ],
)
def test_a_command_whose_output_is_its_result_says_that_it_failed(how, command, broken, trained):
    from charrnn.cli import cli

    output = broken(how)
    with pytest.raises((OutputError, SystemExit)):
        cli([word.replace("RUN", str(trained[0] / "ascii")) for word in command.split()])
    with contextlib.suppress(OutputError):
        sys.stdout.flush()  # click closes a file such as - without a word
    assert isinstance(output.failure, ReaderLeftError if how == "unread" else OutputError)
    assert output.failure.exit_code == (how == "full")


def test_what_is_dispensable_is_lost_without_harm(broken):
    from charrnn_core.console.stdio import dispensable

    for how, told in (("full", ["No space left"]), ("closed", ["it is closed"]), ("unread", [])):
        output = broken(how)
        with dispensable() as lost:
            terminal.say("a")
            print("from a plugin")
        assert [word for word in told if word not in str(lost[0])] == [] and len(lost) == len(told)
        assert output.strict
        with pytest.raises(OutputError):
            terminal.say("a")


@pytest.mark.parametrize(
    "redirection, code, words",
    [
        ("> /dev/full", 1, "Error: cannot write to standard output: No space left on device\n"),
        (">&-", 1, "Error: cannot write to standard output: it is closed\n"),
        ("| true", 0, ""),
        ("2>&- | cat > /dev/null", 0, ""),
        ("<&- >&- 2>&-", 1, ""),
    ],
)
def test_the_streams_of_a_process(redirection, code, words, tmp_path):
    script = f"set -o pipefail; {' '.join(COMMAND)} plugins {redirection}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", words)


def test_no_file_becomes_a_stream_that_was_closed(tmp_path):
    program = (
        "import sys, os\n"
        "from charrnn_core.console.stdio import dispensable, guarded\n"
        "with guarded(), dispensable():\n"
        "    with open('kept', 'w') as kept:\n"
        "        print('lost'); print('lost', file=sys.stderr); os.system('echo lost >&2')\n"
        "        kept.write(str(kept.fileno() > 2))\n"
        "        sys.stdin.read()\n"
    )
    script = 'exec "$0" -c "$1" <&- >&- 2>&-'
    done = subprocess.run(["bash", "-c", script, sys.executable, program], cwd=tmp_path)
    assert (tmp_path / "kept").read_text() == "True" and done.returncode == 1


# What a stranger's checkpoint says.


def made_evil(value):
    """Plain data with control characters at the end of every text, also of names."""
    if isinstance(value, dict):
        return {key: made_evil(inner) for key, inner in value.items()} | {f"key{EVIL}": EVIL}
    if isinstance(value, list):
        return [made_evil(inner) for inner in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


@pytest.fixture(scope="module")
def crafted(trained):
    """Checkpoints of which one part each is full of control characters."""
    from charrnn_core.files.checkpoint import save_checkpoint

    _, good = open_checkpoint(trained[0] / "ascii", quiet)
    letters = sorted({*good.table["alphabet"][3:], *map(ord, "\x1b\x9b\u202e")})
    tables = {part: {part: made_evil(good.table[part])} for part in ("plugins", "config")}
    tables["alphabet"] = {"alphabet": letters}
    tables["everything"] = made_evil(good.table)
    for part, changes in tables.items():
        save_checkpoint(trained[0] / f"{part}.crn", good.table | changes, good.arrays)
    return [trained[0] / f"{part}.crn" for part in tables]


@pytest.mark.parametrize("command", ["info", "eval", "sample"])
def test_nothing_in_a_checkpoint_commands_the_terminal(command, crafted, capsys, monkeypatch):
    from charrnn.cli import cli

    monkeypatch.setenv("NO_COLOR", "1")  # else headings are bold
    for path in crafted:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        with pytest.raises(SystemExit):
            cli([command, str(path), *(("--length", "5") if command == "sample" else ())])
        seen = capsys.readouterr()
        assert not CONTROL.search(seen.out + seen.err), path
        assert seen.out or seen.err.startswith("Error: ")
        assert not seen.err or len(seen.err.splitlines()) < 4


def test_a_stranger_s_run_in_a_terminal(crafted):
    process, terminal_of_it = in_a_terminal(("info", crafted[-1]), crafted[-1].parent, NO_COLOR="1")
    seen = read_all(terminal_of_it)
    process.wait(60)
    os.close(terminal_of_it)
    assert not CONTROL.search(seen.replace("\r\n", "\n")) and len(seen) > 100
