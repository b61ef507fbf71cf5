"""Compiled programs on disk: later processes read them, and whatever happens, bits are right."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.resuming import bits

RUN = (
    "run --cell elman:6 --context 0 --counts 0 --batch 4 --window 8 --chars 3000 --sample-length 5 "
    "--observer jsonl --quiet"
).split()


def environment(folder: Path | str, **more: str) -> dict[str, str]:
    """Where charrnn keeps programs in this folder."""
    ours = {"CHARRNN_COMPILE_CACHE": str(folder), "JAX_NUM_CPU_DEVICES": "2", **more}
    others = {"JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"}
    return {name: value for name, value in os.environ.items() if name not in others} | ours


def begin(out: Path, text: Path, folder: Path | str, **more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "charrnn_core", *RUN, "--source", text, "--out", out]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=environment(folder, **more),
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return told


def arrays(out: Path) -> dict:
    return bits(out)["arrays"]


def count(told: str) -> tuple[int, int]:
    """Return how many programs jax needed, and how many of these it found compiled."""
    needed = re.findall(r"^Finished XLA compilation of", told, re.M)
    return len(needed), len(re.findall(r"^Persistent compilation cache hit", told, re.M))


@pytest.fixture(scope="module")
def off(tmp_path_factory, text_file):
    """What a run comes to without any cache."""
    out = tmp_path_factory.mktemp("off")
    finish(begin(out / "run", text_file, "off"))
    return arrays(out / "run")


@pytest.fixture(scope="module")
def filled(tmp_path_factory, text_file, off):
    """A folder with the programs of a run."""
    folder = tmp_path_factory.mktemp("kept")
    told = finish(begin(folder / "run", text_file, folder / "compiled", JAX_LOG_COMPILES="1"))
    assert arrays(folder / "run") == off
    needed, found = count(told)
    files = list((folder / "compiled").glob("*/*"))
    assert needed >= len(files) >= needed - found > 3
    return folder / "compiled"


@pytest.fixture
def kept(filled, tmp_path):
    """The same, which a test may damage."""
    return shutil.copytree(filled, tmp_path / "compiled")


@pytest.mark.slow
def test_the_second_process_compiles_nothing_and_damage_is_mended(kept, tmp_path, text_file, off):
    told = finish(begin(tmp_path / "again", text_file, kept, JAX_LOG_COMPILES="1"))
    needed, found = count(told)
    assert needed == found > 3 and arrays(tmp_path / "again") == off
    chance = random.Random(0)
    before = {file: file.read_bytes() for file in kept.glob("*/*")}
    for number, (file, data) in enumerate(before.items()):
        if number % 3 == 0:
            file.write_bytes(data[: chance.randrange(len(data))])
        else:
            place = chance.randrange(8 * len(data))
            flipped = bytearray(data)
            flipped[place // 8] ^= 1 << place % 8
            file.write_bytes(flipped)
    told = finish(begin(tmp_path / "damaged", text_file, kept))
    assert arrays(tmp_path / "damaged") == off
    assert told.count("was damaged; it is made again") == len(before), told
    assert "Traceback" not in told and "Warning" not in told
    for file in before:
        assert file.exists()
    told = finish(begin(tmp_path / "mended", text_file, kept, JAX_LOG_COMPILES="1"))
    needed, found = count(told)
    assert needed == found and "damaged" not in told


@pytest.mark.slow
def test_what_jax_is_told_comes_first(tmp_path, text_file, off):
    more = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}
    more["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    finish(begin(tmp_path / "run", text_file, tmp_path / "ours", **more))
    assert any((tmp_path / "jax").iterdir()) and not (tmp_path / "ours").exists()
    assert arrays(tmp_path / "run") == off


def test_programs_that_jax_cannot_load_are_made_again(kept, tmp_path, text_file, off):
    """As if one with the right digest were of another kind of machine."""
    script = (
        "import sys; from jax._src import compilation_cache as c\n"
        "c.decompress_executable = lambda data: b'no program'\n"
        "sys.argv[0] = 'charrnn'; from charrnn.cli import main; main()\n"
    )
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", script, *RUN, "--source", text_file, "--out", out],
        env=environment(kept), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and arrays(out) == off
    assert "it is made again" in done.stderr and "Warning" not in done.stderr
    told = finish(begin(tmp_path / "after", text_file, kept))
    assert "damaged" not in told and arrays(tmp_path / "after") == off


def test_a_folder_that_may_only_be_read(kept, tmp_path, text_file, off):
    """By a file in its place, since root may write everywhere."""
    place = tmp_path / "file"
    place.write_text("not a folder")
    told = finish(begin(tmp_path / "run", text_file, place))
    assert arrays(tmp_path / "run") == off and told.count("going on without") == 1


@pytest.mark.slow
def test_a_full_disk(tmp_path, text_file, off):
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        told = finish(begin(tmp_path / "run", text_file, disk))
        assert arrays(tmp_path / "run") == off and told.count("going on without") == 1
        assert not list(disk.glob("*/.*.tmp"))
        finish(begin(tmp_path / "again", text_file, disk))
        assert arrays(tmp_path / "again") == off
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_twenty_processes_on_one_cold_folder_with_kills(tmp_path, text_file, off):
    chance, folder = random.Random(1), tmp_path / "compiled"
    processes = [begin(tmp_path / str(n), text_file, folder) for n in range(20)]
    killed = set()
    while len(killed) < 8:
        time.sleep(chance.uniform(0.5, 4))
        victim = chance.choice([n for n in range(20) if n not in killed])
        processes[victim].kill()
        killed.add(victim)
    for number, process in enumerate(processes):
        _, told = process.communicate(timeout=600)
        if process.returncode == 0:
            assert arrays(tmp_path / str(number)) == off
            assert "damaged" not in told
        else:
            assert number in killed, told
    told = finish(begin(tmp_path / "last", text_file, folder, JAX_LOG_COMPILES="1"))
    needed, found = count(told)
    assert needed == found and arrays(tmp_path / "last") == off
