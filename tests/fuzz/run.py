"""Fuzz one target with atheris and libFuzzer: ``python tests/fuzz/run.py TARGET --minutes 10``.

TARGET is a function of tests/fuzz/targets.py: archive, checkpoint, spec, stripper or config. Needs
atheris: ``pip install -e '.[fuzz]'``. The run starts from tests/fuzz/corpus/TARGET and ends with
one line of figures; an input that fails is written to fuzz-TARGET-crash-..., which becomes
tests/fuzz/corpus/TARGET/found-... once what it found is mended. Afterwards the corpus is thinned to
the fewest small inputs that walk through all the lines that any input did; those named seed-... or
found-... are always kept. tests/test_fuzz.py replays the corpus, without atheris.
"""

import argparse
import hashlib
import importlib
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
MOST_FILES, MOST_BYTES = 60, 4000
MEMORY = 2 << 30
PACKAGES = ("charrnn_core", "charrnn_gutenberg", "charrnn_text", "tomllib")
FLAGS = (
    "-rss_limit_mb=1024", "-timeout=10", f"-max_len={MOST_BYTES}", "-use_value_profile=1",
    "-print_final_stats=1",
)  # fmt: skip

# What libFuzzer would take long to spell.
WORDS = {
    "archive": "CRZ\x01 jax= jaxlib= charrnn= machine=x86_64",
    "checkpoint": "CRNN table arrays path dtype shape offset nbytes int8 bfloat16 bool \xc7 \xdf",
    "spec": "elman: gutenberg: file: stacked: sampler= batch= epochs= observers= cell= none *64 "
    "**/ ../ /etc/ ~root",
    "config": "batch= epochs= [cell] use= sampler [[observers]] recipe= notebook true inf nan 0x "
    "unroll= seed= prompt= source= split= minutes= shards= non_finite= ''' 1979-05-27T07:32:00Z",
    "stripper": "***_START_OF_THE_PROJECT_GUTENBERG ***_END_OF_THIS_PROJECT_GUTENBERG "
    "*END*THE_SMALL_PRINT These_eBooks_Were_Prepared_By_Thousands Ende_dieses_Projekt_Gutenberg "
    "End_of_the_Project_Gutenberg Produced_by E-text_prepared_by COPYRIGHTED_ "
    "Character_set_encoding:_ utf-16 cp037 iso2022_jp shift_jis punycode \xef\xbb\xbf",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=sorted(WORDS))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--inside", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is not None:
        fuzz(arguments.target, arguments.inside)
    else:
        sys.exit(oversee(arguments.target, arguments.minutes))


def fuzz(target: str, flags: list[str]) -> None:
    """Run libFuzzer in this process; it ends the process."""
    try:
        atheris: Any = importlib.import_module("atheris")  # a tool that need not be there
    except ImportError:
        sys.exit("fuzzing needs atheris; install it with: pip install -e '.[fuzz]'")
    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=list(PACKAGES)):
        from tests.fuzz.targets import TARGETS
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    atheris.Setup([sys.argv[0], *flags], TARGETS[target])
    atheris.Fuzz()


def oversee(target: str, minutes: float) -> int:
    """Fuzz in a child, say what came of it, and thin the corpus."""
    with tempfile.TemporaryDirectory(prefix="charrnn-corpus-") as temporary:
        words, grown = Path(temporary, "words"), Path(temporary, "grown")
        grown.mkdir()
        words.write_bytes(b"\n".join(map(quoted, WORDS[target].split())))
        corpus = CORPUS / target
        corpus.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, __file__, target, "--inside", f"-max_total_time={minutes * 60:.0f}",
             f"-artifact_prefix={os.getcwd()}/fuzz-{target}-", f"-dict={words}", *FLAGS,
             str(grown), str(corpus)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            # A disk makes every rewritten file wait for it; a fuzzer writes one per run.
            env=os.environ | ({"TMPDIR": "/dev/shm"} if os.path.isdir("/dev/shm") else {}),
        )  # fmt: skip
        lines = done.stdout.splitlines()
        if done.returncode:
            print("\n".join(lines[-60:]))
        runs, peak = (re.findall(rf"stat::{name}:\s*(\d+)", done.stdout)[-1:] or ["?"] for name in
                      ("number_of_executed_units", "peak_rss_mb"))  # fmt: skip
        covered = (re.findall(r"cov: (\d+)", done.stdout) or ["?"])[-1]
        state = f"failed with {done.returncode}" if done.returncode else "no finding"
        print(f"{target}: {state}; {runs[0]} runs, {covered} edges, {peak[0]} MiB", flush=True)
        if not done.returncode:
            print(f"{thin(target, sorted(grown.iterdir()))} inputs kept")
        return done.returncode


def quoted(word: str) -> bytes:
    """A word as an entry of libFuzzer's dictionary."""
    return b'"%s"' % "".join(rf"\x{ord(c):02x}" for c in word.replace("_", " ")).encode()


def thin(target: str, grown: list[Path]) -> int:
    """Keep in the corpus the fewest inputs that cover what all of them cover; how many."""
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.targets import TARGETS

    corpus = CORPUS / target
    fixed = sorted([*corpus.glob("seed-*"), *corpus.glob("found-*")])
    others = {path.read_bytes() for path in [*corpus.iterdir(), *grown] if path not in fixed}
    lines = {
        data: lines_of(TARGETS[target], data)
        for data in sorted(others, key=lambda data: (len(data), data))
        if len(data) < MOST_BYTES
    }
    covered = set().union(*(lines_of(TARGETS[target], path.read_bytes()) for path in fixed))
    chosen: list[bytes] = []
    while lines and len(fixed) + len(chosen) < MOST_FILES:
        best = max(lines, key=lambda data: len(lines[data] - covered))
        if not lines[best] - covered:
            break
        chosen.append(best)
        covered |= lines.pop(best)
    for path in set(corpus.iterdir()) - set(fixed):
        path.unlink()
    for data in chosen:
        (corpus / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)
    return len(fixed) + len(chosen)


def lines_of(target: Callable[[bytes], None], data: bytes) -> set[tuple[str, int, int]]:
    """The steps from line to line in our code, and in tomllib, that an input makes."""
    steps: set[tuple[str, int, int]] = set()

    def enter(frame, event, argument):
        path = frame.f_code.co_filename
        if not any(f"/{package}/" in path for package in PACKAGES):
            return None
        last = frame.f_lineno

        def step(frame, event, argument):
            nonlocal last
            steps.add((path, last, frame.f_lineno))
            last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target(data)
    except Exception:  # a finding: it is told elsewhere, and covers what it covers
        pass
    finally:
        sys.settrace(None)
    return steps


if __name__ == "__main__":
    main()
