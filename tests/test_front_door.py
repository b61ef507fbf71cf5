"""``charrnn --help`` by what a person wants, ``charrnn`` alone, and what a shell completes."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charrnn_core.registry.commands import SECTIONS, commands, in_sections
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.registry import Registry

MODULE = '''
import click

@click.command()
@click.argument("run")
@click.option("--cells")
def command(run, cells):
    """Do something\x1b[31m with a RUN."""

raise SystemExit("imported")
'''


@pytest.fixture
def site(tmp_path):
    """Install a distribution charrnn-NAME with commands: ``{"charrnn.commands.look": "peer"}``."""

    def install(name: str, groups: dict[str, str]) -> dict[str, str]:
        (tmp_path / "foreign.py").write_text(MODULE)
        info = tmp_path / f"charrnn_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: charrnn-{name}\nVersion: 1.2")
        lines = (f"[{group}]\n{word} = foreign:command\n" for group, word in groups.items())
        (info / "entry_points.txt").write_text("".join(lines))
        return {"PYTHONPATH": str(tmp_path)}

    return install


def sections(shown: str) -> dict[str, list[str]]:
    """The names of the commands below each heading of ``charrnn --help``."""
    _, *found = re.split(r"^(\S.*):\n", shown[shown.index("\nOptions:\n") :], flags=re.MULTILINE)
    names = (re.findall(r"^  ([a-z][\w-]*)", text, re.MULTILINE) for text in found[1::2])
    return {heading: list(inside) for heading, inside in zip(found[::2], names, strict=True)}


def test_commands_stand_where_a_person_looks_for_them(charrnn):
    found = sections(charrnn("--help").stdout)
    assert found.pop("Options") == []
    assert [heading for heading in SECTIONS.values() if heading in found] == list(found)
    assert found["Train"] == ["resume", "run"] and found["Write"] == ["sample"]
    assert {"eval", "score", "bench", "novelty"} <= set(found["Judge"])
    assert {"info", "runs"} <= set(found["Look"]) and "new-plugin" in found["Extend"]
    assert sorted(name for inside in found.values() for name in inside) == list(commands())


def test_every_built_in_command_says_where_it_belongs():
    homeless = [name for name, entry in commands().items() if entry.section not in SECTIONS]
    assert not homeless, f"{homeless}: write it below [project.entry-points.'charrnn.commands.*']"


def test_a_command_of_another_distribution(charrnn, site):
    """It stands under its distribution, unless it says where; what it says wrongly does no harm."""
    site("other", {"charrnn.commands": "zap"})
    env = site("mine", {"charrnn.commands.look": "peer", "charrnn.commands": "bare",
                        "charrnn.commands.jugde": "misspelt"})  # fmt: skip
    shown = charrnn("--help", env=env).stdout
    found = sections(shown)
    assert list(found)[-2:] == ["charrnn-mine 1.2", "charrnn-other 1.2"]
    assert found["charrnn-mine 1.2"] == ["bare", "misspelt"] and found["charrnn-other 1.2"] == [
        "zap"
    ]
    assert {"info", "peer", "runs"} <= set(found["Look"])
    what = r"Do something\x1b[31m with a RUN."
    assert f"  bare        {what}\n" in shown and f"  misspelt    {what}\n" in shown
    assert f"  peer        {what} (from charrnn-mine 1.2)" in " ".join(shown.split("\n" + 14 * " "))


def test_nobody_takes_the_name_of_a_built_in_command(charrnn, site):
    env = site("mine", {"charrnn.commands.write": "run"})
    found = sections(charrnn("--help", env=env).stdout)
    assert found["Write"] == ["sample"] and "run" in found["Train"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_help_fits(charrnn, site, width):
    env = site("mine", {"charrnn.commands": "a-name-that-is-much-longer-than-all-others"})
    lines = charrnn("--help", env=env | {"COLUMNS": str(width)}).stdout.splitlines()
    assert max(map(len, lines)) <= min(width, 80) and not any("\x1b" in line for line in lines)
    rows = [re.match(r"  ([a-z][a-z-]*) +(?=\S)", line) for line in lines]
    assert {row.end() for row in rows if row} == {14}, "the summaries stand below each other"
    assert "  a-name-that-is-much-longer-than-all-others" in lines


@pytest.mark.parametrize(
    "typed, hint",
    [
        ("rum", "did you mean 'run'?"),
        ("evaluate", "did you mean 'eval'?"),
        ("qqq", "charrnn --help lists them"),
    ],
)
def test_a_command_that_does_not_exist(charrnn, typed, hint):
    done = charrnn(typed)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines()[-1] == f"Error: no command named {typed!r}; {hint}"


def test_charrnn_alone_says_how_to_begin(charrnn):
    done = charrnn()
    assert done.returncode == 0 and done.stderr == ""
    _, shown = done.stdout.split("\nBegin with:\n")
    run, sample, help = (shlex.split(line, comments=True)[1:] for line in shown.splitlines())
    assert [run[0], sample[0], help] == ["run", "sample", ["--help"]]
    assert run[run.index("--out") + 1] == sample[1], "the second goes on from the first"
    options = charrnn("run", "--help").stdout
    assert all(f" {word} " in options for word in run if word.startswith("--"))


def words(*typed: str, shell: str = "bash") -> dict[str, str]:
    """The environment in which a shell asks what can follow."""
    line, count = shlex.join(["charrnn", *typed]), len(typed)
    if typed[-1] == "":
        line = line.removesuffix("''")
    if shell == "fish":
        return {"_CHARRNN_COMPLETE": "fish_complete", "COMP_WORDS": line, "COMP_CWORD": typed[-1]}
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(count)}
    return {"_CHARRNN_COMPLETE": f"{shell}_complete", **asked}


@pytest.fixture
def completed(charrnn):
    """What bash is told can follow: ``completed("run", "--cell", "el")``, and of which type."""

    def ask(*typed: str, env: dict[str, str] | None = None) -> list[tuple[str, str]]:
        done = charrnn(env={**words(*typed), **(env or {})})
        assert done.returncode == 0 and done.stderr == "", done.stderr
        pairs = (line.split(",", 1) for line in done.stdout.splitlines() if line)
        return [(kind, value) for kind, value in pairs]

    return ask


def plain(*values: str) -> list[tuple[str, str]]:
    return [("plain", value) for value in values]


@pytest.mark.parametrize(
    "typed, found",
    [
        (["ru"], ["run", "runs"]),
        (["--ver"], ["--version"]),
        (["run", "--cell", "min"], ["mingru", "minlstm"]),
        (["run", "--optimizer", "adam"], ["adam", "adamw"]),
        (["run", "--loss", ""], ["crossentropy"]),
        (["run", "--recipe", "n"], ["notebook", "nanogpt"]),
        (["run", "--like", ""], ["char-rnn", "torch-rnn", "nanogpt"]),
        (["run", "--sampler", "top-p:0.9,temp"], ["top-p:0.9,temperature"]),
        (["run", "--observer", "js"], ["jsonl"]),
        (["sample", "runs/x", "--sampler", "temp"], ["temperature"]),
        (["bench", "--cells", "elman,mgu,mogr"], ["elman,mgu,mogrifier"]),
        (["check", "re"], ["recipe", "resume"]),
        (["check", "cell", "el"], ["elman"]),
        (["check", "resume", "--cell", "el"], ["elman"]),
        (["plugins", ""], ["show"]),
        (["plugins", "show", "source", "gut"], ["gutenberg"]),
        (["new-plugin", "samp"], ["sampler"]),
        (["new-plugin", "cell", "el"], []),
        (["runs", "p"], ["prune"]),
        (["run", "--color", ""], []),
        (["sample", "runs/x", "--color", "a"], ["always", "auto"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_shell_completes(completed, typed, found):
    assert completed(*typed) == plain(*found)


def test_every_kind_of_plugin_is_completed(completed):
    for kind in ("cell", "loss", "sampler", "optimizer", "observer", "recipe", "source"):
        names = {value for type, value in completed("run", f"--{kind}", "") if type == "plain"}
        assert names == set(Registry.installed().names(kind)), kind
    assert {value for _, value in completed("new-plugin", "")} == set(KINDS)


def test_a_source_may_be_a_file(completed):
    assert completed("run", "--source", "gut") == [("file", "gut"), *plain("gutenberg")]
    assert completed("eval", "runs/x", "--source", "no") == [("file", "no")]
    assert completed("score", "runs/x", "gut") == [("file", "gut"), *plain("gutenberg")]


@pytest.mark.parametrize(
    "typed",
    [["sample"], ["eval"], ["score"], ["novelty"], ["info"], ["resume"], ["runs", "rm"],
     ["runs", "rm", "runs/old"], ["run", "--init-from"]],
    ids=" ".join,
)  # fmt: skip
def test_runs_are_completed_the_newest_first(completed, tmp_path, typed):
    for age, name in enumerate(["new", "mid", "old", "no run", "with blank", "file"]):
        path = tmp_path / "runs" / name
        path.mkdir(parents=True)
        if name != "no run":
            (path / "checkpoints").mkdir()
        os.utime(path, (time.time() - age, time.time() - age))
    (tmp_path / "runs" / "file" / "checkpoints").rmdir()
    shown = completed(*typed, "runs/")
    assert [item for item in shown if item[0] == "plain"] == plain(
        "runs/new", "runs/mid", "runs/old"
    )
    assert ("file", "runs/") in shown or typed[0] == "run"
    assert [item for item in completed(*typed, "runs/o") if item[0] == "plain"] == plain("runs/old")
    assert [item for item in completed(*typed, "else") if item[0] == "plain"] == []


def test_without_runs_there_are_paths(completed):
    assert completed("sample", "") == [("file", "")]


def test_a_plugin_in_a_file_is_completed(completed, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from charrnn_core import CellPlugin, hookimpl\n\n@hookimpl\ndef charrnn_cells():\n"
        "    yield CellPlugin(name='elastic', target='nowhere:Cell')\n"
    )
    assert completed("run", "--plugin", "mine.py", "--cell", "el") == plain("elastic", "elman")
    assert completed("run", "--plugin", "none.py", "--cell", "el") == plain("elman")


def test_a_command_of_another_distribution_is_completed(completed, site, tmp_path):
    env = site("mine", {"charrnn.commands": "zap"})
    assert completed("za", env=env) == plain("zap")
    assert completed("zap", "x", env=env) == []  # it cannot be imported; a shell is told nothing
    (tmp_path / "foreign.py").write_text(MODULE.replace("raise", "# raise"))
    (tmp_path / "runs" / "one" / "checkpoints").mkdir(parents=True)
    assert completed("zap", "r", env=env) == plain("runs/one")
    assert completed("zap", "--cells", "elman,el", env=env) == plain("elman,elman")


COMPLETING = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(
    {name.partition(".")[0] for name in sys.modules})), file=sys.stderr))
from charrnn.cli import main
main()
"""


@pytest.mark.parametrize(
    "typed, found, summary",
    [
        (["ru"], ["run", "runs"], "Train a model: charrnn run --cell elman --source gutenberg:520"),
        (["run", "--cell", "mingr"], ["mingru"], ""),
        (["sample", "runs/"], ["runs/one"], "_"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_process_answers_without_jax(tmp_path, shell, typed, found, summary):
    """By the protocol of each shell; and that it is quick is that it imports little."""
    (tmp_path / "runs" / "one" / "checkpoints").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", COMPLETING], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, **words(*typed, shell=shell)}, timeout=60,
    )  # fmt: skip
    imported = json.loads(done.stderr)
    assert {"jax", "flax", "optax", "numpy", "rich", "urllib3"}.isdisjoint(imported)
    assert "charrnn_core" in imported and done.returncode == 0
    lines = done.stdout.splitlines()
    if shell == "zsh":
        types, values, summaries = lines[::3], lines[1::3], lines[2::3]
        assert summary in " ".join(summaries)
    else:
        types, rest = zip(*(line.split(",", 1) for line in lines), strict=True)
        values = [line.partition("\t")[0] for line in rest]
        assert shell == "bash" or summary in done.stdout or summary == "_"
    pairs = zip(types, values, strict=True)
    assert [value for type, value in pairs if type == "plain"] == found


def test_bash_itself(tmp_path):
    """The script that README evaluates, in a bash that then completes a line."""
    (tmp_path / "runs" / "one" / "checkpoints").mkdir(parents=True)
    script = """
    eval "$(_CHARRNN_COMPLETE=bash_source charrnn)"
    COMP_WORDS=(charrnn sample runs/) COMP_CWORD=2
    compopt() { :; }
    _charrnn_completion charrnn
    echo "${COMPREPLY[@]}"
    complete -p charrnn
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.stdout == "runs/one\ncomplete -o nosort -F _charrnn_completion charrnn\n", (
        done.stderr
    )


def test_sections_have_no_command_twice():
    names = [name for inside in in_sections().values() for name in inside]
    assert len(names) == len(set(names)) == len(commands())
