"""Standard output is kept for what was asked for, whatever a plugin does."""

import subprocess
import sys

import pytest

from charrnn_core.console.stdout import kept_clean

PROGRAM = """
import os, subprocess, sys
from charrnn_core.console.stdout import kept_clean

print("before")
try:
    with kept_clean():
        print("by print")
        sys.__stdout__.write("past it\\n")
        os.write(1, b"by descriptor\\n")
        subprocess.run([sys.executable, "-c", "print('by a child')"])
        with kept_clean():
            print("deeper")
        print("not deeper", end="")
        1 / {divisor}
except ZeroDivisionError:
    pass
print("after")
"""
NOISE = ["by print", "past it", "by descriptor", "by a child", "deeper", "not deeper"]


def run(program: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    command = f'exec "{sys.executable}" -c "$1" {shell}'
    return subprocess.run(["sh", "-c", command, "sh", program], capture_output=True, text=True)


@pytest.mark.parametrize("divisor", [0, 1])
def test_what_is_printed_in_between_goes_to_standard_error(divisor):
    done = run(PROGRAM.format(divisor=divisor))
    assert done.returncode == 0 and done.stdout == "before\nafter\n"
    assert sorted(done.stderr.splitlines()) == sorted(NOISE)


def test_two_threads_do_not_lose_it():
    first, second = kept_clean(), kept_clean()
    before = sys.stdout
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.stdout is sys.stderr
    second.__exit__(None, None, None)
    assert sys.stdout is before


def test_without_standard_error_it_goes_nowhere():
    done = run(PROGRAM.format(divisor=1), "2>&-")
    assert done.returncode == 0 and done.stdout == "before\nafter\n"


def test_without_standard_output_a_file_in_its_place_is_left_alone(tmp_path):
    """A descriptor that was closed at the start is given to the next file that is opened."""
    program = f"file = open({str(tmp_path / 'file')!r}, 'w'); assert file.fileno() == 1\n"
    program += "from charrnn_core.console.stdout import kept_clean\n"
    program += "with kept_clean():\n    print('noise', file=file, flush=True); print('more')\n"
    done = run(program, ">&-")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_text() == "noise\n" and done.stderr == "more\n"


def test_a_full_disk_is_told_to_whoever_prints():
    code = "from charrnn_core.console.stdout import kept_clean\nprint('x')\nwith kept_clean(): pass"
    done = run(code, "> /dev/full")
    assert "No space left on device" in done.stderr
