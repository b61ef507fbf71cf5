"""Serving: characters per second of one and of 32 requests, and the delay of the first character.

    python benchmarks/serving.py RUN

``charrnn serve RUN`` is asked over HTTP, beside which `generate` writes the same number of samples
in a process of its own; the two take turns. The delay is that of a stream alone, from the request
to its first character.
"""

import argparse
import http.client
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine, print_machine
from turns import serve

_CHARRNN = str(Path(sys.executable).with_name("charrnn"))
STREAMS = 32


def _side(run: str, length: int) -> None:
    """Take turns at writing with `generate`, without a server."""
    from charrnn_core.devices import use_every_core

    use_every_core()
    from charrnn_core import load
    from charrnn_core.api import write

    model = load(run, note=lambda line: None)

    def play() -> float:
        began = time.perf_counter()
        for _ in write(model, "", length, n=STREAMS):
            pass
        return STREAMS * length / (time.perf_counter() - began)

    play()
    serve(play)


def _ask(port: int, seed: int, length: int, stream: bool = False) -> float:
    """Ask for a completion; return the seconds to its first piece, or to its end."""
    asked = {"prompt": "", "max_tokens": length, "seed": seed, "stream": stream}
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/completions", json.dumps(asked))
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(answer.read().decode())
    if stream:
        answer.readline()
        spent = time.perf_counter() - began
        answer.read()
    else:
        answer.read()
        spent = time.perf_counter() - began
    connection.close()
    return spent


def _together(port: int, streams: int, length: int) -> float:
    """Return the characters per second of so many requests."""
    began = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(lambda seed: _ask(port, seed, length), range(streams)))
    return streams * length / (time.perf_counter() - began)


def _measured(
    server: "subprocess.Popen[str]", other: "subprocess.Popen[str]", length: int, rounds: int
) -> dict[str, list[float]]:
    """Return the speeds, and the delays of first characters in seconds."""
    assert server.stdout and other.stdin and other.stdout
    address = next(line for line in server.stdout if line.startswith("http://"))
    port = int(address.rsplit(":", 1)[1])
    other.stdout.readline()
    speeds: dict[str, list[float]] = {"one": [], "all": [], "generate": [], "first": []}
    _together(port, STREAMS, 64)
    for _ in range(rounds):
        other.stdin.write("go\n")
        other.stdin.flush()
        speeds["generate"].append(float(other.stdout.readline()))
        speeds["all"].append(_together(port, STREAMS, length))
        speeds["one"].append(_together(port, 1, length))
        speeds["first"] += [_ask(port, seed, 16, stream=True) for seed in range(10)]
    return speeds


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--length", type=int, default=2000, help="characters of each request")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        _side(args.run, args.length)
        return
    about = machine()
    command = [_CHARRNN, "serve", args.run, "--port", "0", "--slots", str(STREAMS)]
    side = [sys.executable, __file__, args.run, "--length", str(args.length), "--side"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as server, subprocess.Popen(side, **pipes) as other:
        try:
            speeds = _measured(server, other, args.length, args.rounds)
        finally:
            server.terminate()
            other.terminate()
    one, every, plain = (median(speeds[name]) for name in ("one", "all", "generate"))
    print("| one request | 32 requests | ratio | generate, 32 | of that | first character |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {one:,.0f} | {every:,.0f} | {every / one:.1f} | {plain:,.0f} | {every / plain:.2f} "
        f"| {1000 * median(speeds['first']):.0f} ms |"
    )
    print_machine(about)


if __name__ == "__main__":
    main()
