"""The commands ``sample`` and ``novelty``."""

import json
import re
import signal
import subprocess
import sys

import pytest

from tests.commands import in_process
from tests.signalled import signalled


@pytest.fixture(scope="module")
def run(tmp_path_factory, text_file):
    directory = tmp_path_factory.mktemp("commands") / "run"
    arguments = ["run", "--quiet", "--cell", "elman:16", "--source", text_file, "--batch", 4,
                 "--window", 16, "--characters", 12000, "--out", directory]  # fmt: skip
    done = in_process(arguments, directory.parent, {})
    assert done.returncode == 0, done.stderr
    return directory


def test_sample_with_all_that_it_can_do(run, charrnn, tmp_path):
    arguments = ("sample", run, "--prompt", "Ann ", "--length", 40, "--sampler", "top-k:4")
    plain = charrnn(*arguments).stdout
    done = charrnn(
        *arguments, "--hide-prompt", "--color", "--log-probs", "log.jsonl",
        "--until-sentence", "--stop", "ZZZ",
    )  # fmt: skip
    assert done.returncode == 0 and "surprise in bits" in done.stderr
    bare = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert bare != done.stdout and bare.startswith(plain[4:44])
    assert bare.rstrip("\n")[-1] in ".!?" or len(bare) == 40 + 1000 + 1
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert "".join(row["char"] for row in rows) == bare[:-1]
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(row["log_p_model"] <= row["log_p_sampler"] + 1e-5 for row in rows)

    done = charrnn(
        *arguments, "--color", "always", "--log-probs", "-", "--n", 2, "--stop", plain[10:13]
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    first = "".join(row["char"] for row in rows if row["sample"] == 1)
    assert plain[4:].startswith(first) and plain[10:13] not in first
    assert {row["sample"] for row in rows} == {1, 2}


def test_without_end_until_it_is_interrupted(run):
    command = signalled(sys.executable, "-m", "charrnn_core", "sample", run, "--length", "inf")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(2000)) == 2000
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (errors, process.returncode) == (b"", 0) and rest.endswith(b"\n")


@pytest.mark.slow
def test_without_end_until_its_reader_leaves(run):
    script = (
        f"set -o pipefail; {sys.executable} -m charrnn_core sample {run} --length inf | head -c 9"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert (len(done.stdout), done.stderr, done.returncode) == (9, "", 0)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--prompt", "a", "--prompt-file", "-"), "--prompt and --prompt-file are both given"),
        (("--length", "inf", "--n", 2), "--length inf works with one sample only; got --n 2"),
        (("--length", "0"), "0 is not in the range"),
    ],
)
def test_mistakes(run, charrnn, arguments, words):
    done = charrnn("sample", run, *arguments, stdin="a")
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""


def test_novelty(run, charrnn, charrnn_process, small_text, tmp_path):
    copied = small_text[100:140]
    text = f"Zoë! {copied} Zoë!"
    (tmp_path / "text.txt").write_text(text)
    done = charrnn("novelty", run, "text.txt", "--json", "--longer-than", 30)
    result = json.loads(done.stdout)
    [longest, *_] = result["matches"]
    assert longest["text"] in text and longest["length"] >= 40 and longest["start"] <= 5
    assert small_text[longest["train_start"] :].startswith(longest["text"])
    assert result["share_copied"] == longest["length"] / len(text)
    assert (
        charrnn("novelty", run, "-", stdin=text).stdout
        == charrnn("novelty", run, "--text", text).stdout
    )
    lines = charrnn_process("novelty", run, "text.txt").stdout.splitlines()
    assert (
        "characters are inside runs longer than 20" in lines[0]
        and repr(copied[1:-1])[1:-1] in lines[2]
    )

    done = charrnn("novelty", run)
    assert done.returncode == 2 and "expected a file of text, or --text" in done.stderr


def test_a_text_that_changed_is_no_measure(run, charrnn, text_file):
    before = text_file.read_text()
    text_file.write_text(before + "More.\n")
    try:
        for command in (("novelty", run, "--text", "a"), ("sample", run, "--sampler", "no-copy:9")):
            done = charrnn(*command)
            assert done.returncode == 1 and "has changed since training" in done.stderr
    finally:
        text_file.write_text(before)
