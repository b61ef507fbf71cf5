"""Compression: bytes that remain, beside those of common programs, and the speed beside scoring.

    python benchmarks/compression.py --run RUN HELD_OUT --adaptive FILE...

The first table has bits per byte. The second is about the run: what the model itself says of the
text, cut into the same streams, and characters per second of compressing and decompressing, beside
those of the pass over the text that ``charrnn eval`` makes. Each is the best of some rounds, which
take turns in one process, after one that compiles.
"""

import argparse
import bz2
import lzma
import math
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine, print_machine

from charrnn_core.devices import use_every_core


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", nargs=2, metavar=("RUN", "TEXT"), help="a run, and what it codes")
    parser.add_argument("--adaptive", nargs="*", default=[], metavar="FILE", help="coded without")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    about = machine()
    use_every_core()
    rows = [_adaptive(Path(file)) for file in arguments.adaptive]
    model = None
    if arguments.run:
        run, text = map(Path, arguments.run)
        model = _of_run(run, text, arguments.rounds)
        rows.append(f"{_others(text)} {_bits(model['bytes'], text)} (with the run) |")
    print("| file | bytes | zstd --ultra -22 | bzip2 -9 | xz -9e | charrnn |")
    print("|---|---|---|---|---|---|", *rows, sep="\n")
    if model is not None:
        print("\n| bytes | the model says | more | scoring | compressing | decompressing |")
        print("|---|---|---|---|---|---|")
        speeds = " | ".join(f"{model[key]:,.0f}" for key in ("score", "compress", "decompress"))
        more = f"{100 * (model['bytes'] / model['said'] - 1):.2f} %"
        print(f"| {model['bytes']:,} | {model['said']:,.1f} | {more} | {speeds} |\n")
    print_machine(about)


def _adaptive(file: Path) -> str:
    """Code a file with a model that learns from it; return its row."""
    from charrnn_core.compression.archive import compress, decompress

    data = file.read_bytes()
    began = time.perf_counter()
    written = compress(data, None, verify=False)
    middle = time.perf_counter()
    if decompress(written, None) != data:
        raise SystemExit(f"{file} did not come back")
    seconds = f"{middle - began:.0f} and {time.perf_counter() - middle:.0f} s"
    return f"{_others(file)} {_bits(len(written), file)} (adaptive, {seconds}) |"


def _of_run(run: Path, text: Path, rounds: int) -> dict[str, Any]:
    """Code a text with a run; return sizes in bytes, and speeds in characters per second."""
    import numpy as np

    from charrnn_core import load
    from charrnn_core.compression.archive import compress, decompress
    from charrnn_core.compression.escapes import split
    from charrnn_core.compression.predictor import ModelPredictor
    from charrnn_core.evaluation.scoring import Scorer
    from charrnn_core.sampling.prompt import encode_prompt
    from charrnn_core.text.split import Piece

    model, data = load(run, note=lambda line: None), text.read_bytes()
    ids = split(data, model.alphabet).ids.astype(np.int32)
    before = int(encode_prompt(model.alphabet, "", separator=model.network.separator)[0])
    streams = ModelPredictor.streams(len(ids)).count
    pieces = [Piece(before, each) for each in np.array_split(ids, streams)]
    one_by_one = Scorer(model.network, streams=streams)(model.params, pieces)
    said = sum(float(nats.sum(dtype=np.float64)) for nats in one_by_one) / math.log(2) / 8
    scorer, written = Scorer(model.network), compress(data, model)
    plays: dict[str, Callable[[], Any]] = {
        "score": lambda: list(scorer(model.params, [Piece(before, ids)])),
        "compress": lambda: compress(data, model, verify=False),
        "decompress": lambda: decompress(written, model),
    }
    spent = {name: math.inf for name in plays}
    for number in range(rounds + 1):
        for name, play in plays.items():
            began = time.perf_counter()
            play()
            seconds = time.perf_counter() - began
            spent[name] = min(spent[name], seconds) if number else math.inf
    speeds = {name: len(ids) / seconds for name, seconds in spent.items()}
    return {"bytes": len(written), "said": said, **speeds}


def _others(file: Path) -> str:
    """Return the beginning of a file's row: what other programs make of it."""
    data = file.read_bytes()
    zstd = "-"
    if shutil.which("zstd"):
        command = ["zstd", "--ultra", "-22", "-c", "-q", str(file)]
        packed = subprocess.run(command, capture_output=True, check=True).stdout
        zstd = _bits(len(packed), file)
    bzip2 = _bits(len(bz2.compress(data, 9)), file)
    xz = _bits(len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)), file)
    return f"| {file.name} | {len(data):,} | {zstd} | {bzip2} | {xz} |"


def _bits(count: int, file: Path) -> str:
    return f"{8 * count / file.stat().st_size:.3f}"


if __name__ == "__main__":
    main()
