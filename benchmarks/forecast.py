"""Compare the time that ``charrnn doctor`` predicts with the time that the training then takes.

    python benchmarks/forecast.py --texts book-520.txt,german.txt --cells lstm,elman

For each text and cell: ``charrnn doctor``, then the ``charrnn run`` that it names, each a process
of its own, and the seconds of the whole run by the clock of this script. Nothing else may run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine, print_machine


def _charrnn(*arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "charrnn"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not done.stdout:
        raise SystemExit(done.stderr)
    return done.stdout


def main() -> None:
    """Print a row for each text and cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", required=True, help="files, separated by commas")
    parser.add_argument("--cells", default="lstm,elman", help="cells, separated by commas")
    parser.add_argument("--chars", help="how long each training is (default: charrnn's own)")
    options = parser.parse_args()
    length = ["--chars", options.chars] if options.chars else []
    print_machine(machine())
    print("| text | cell | predicted, s | taken, s | predicted / taken |\n|---|---|---|---|---|")
    for text in options.texts.split(","):
        for cell in options.cells.split(","):
            found = json.loads(_charrnn("doctor", text, "--cell", cell, "--json", *length))
            predicted = 60 * found["default"]["minutes"]
            with tempfile.TemporaryDirectory() as folder:
                started = time.monotonic()
                where = ["--out", f"{folder}/run", "--quiet"]
                _charrnn("run", "--source", text, "--cell", cell, *where, *length)
                taken = time.monotonic() - started
            row = [Path(text).stem, cell, f"{predicted:.1f}", f"{taken:.1f}"]
            print(f"| {' | '.join([*row, f'{predicted / taken:.2f}'])} |", flush=True)


if __name__ == "__main__":
    main()
