"""Measure what an update costs one process and two, and say what many machines would make of it.

    python benchmarks/processes.py --hidden 64,256,1024
    python benchmarks/processes.py --hidden 2048 --hosts 8,64,256 --gigabits 10,25,100

An update of an LSTM with 32 streams and windows of 64, on two devices: those of one process, and
one of each of two. Its time is the difference of two trainings by ``charrnn run``, of which one
makes more updates. Nothing else may run.

Then, on paper, how much of the speed of all machines is left (the efficiency) when each gets 64
streams (weak scaling), and when all share 4,096 (strong scaling). An update of one of n machines
with b streams takes

    b T cpu / (cores * use)  +  2 (n - 1) / n * bytes / bandwidth  +  2 (n - 1) * message

with the measured CPU time of a character, T = 64, and the bytes of the gradient, which goes over
the network twice. That the cores are used so well, and the time of a message, are assumptions.
"""

import argparse
import json
import os
import random
import socket
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from machine import machine, print_machine

BATCH, WINDOW = 32, 64
ALIKE = [
    *("--batch", str(BATCH), "--window", str(WINDOW), "--shards", "2"),
    *("--context", "0", "--counts", "0", "--dropout-output", "0", "--quiet"),
    *("--eval-every", "1e6", "--sample-every", "1e6", "--eval-characters", "1000"),
]


class Cost(NamedTuple):
    """Seconds: the CPU time of all processes, and the time on the wall."""

    cpu: float
    wall: float


class Network(NamedTuple):
    """Machines that train together: their number, cores of each, and what joins them."""

    hosts: int
    cores: int
    use: float
    gigabits: float
    message: float


def trained(folder: str, hidden: int, updates: int, processes: int) -> Cost:
    """Train, by one process with two devices or by two with one each."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    out = tempfile.mkdtemp(dir=folder)
    length = ["--chars", str(updates * BATCH * WINDOW), "--out", f"{out}/run"]
    command = [sys.executable, "-m", "charrnn_core", "run", "--cell", f"lstm:{hidden}"]
    command += [*ALIKE, "--source", f"{folder}/text.txt", *length]
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": str(2 // processes)}
    began, cpu, started = time.monotonic(), 0.0, []
    for number in range(processes):
        who = ["--coordinator", address, "--num-processes", "2", "--process-id", str(number)]
        more = who if processes > 1 else []
        started.append(subprocess.Popen([*command, *more], env=env, stdout=subprocess.DEVNULL))
    for each in started:
        _, status, used = os.wait4(each.pid, 0)
        if status:
            raise SystemExit(f"a training ended with {os.waitstatus_to_exitcode(status)}")
        cpu += used.ru_utime + used.ru_stime
    return Cost(cpu, time.monotonic() - began)


def update(folder: str, hidden: int, processes: int, updates: int) -> Cost:
    """Return what an update costs: the difference of two trainings, of which one makes more."""
    short = trained(folder, hidden, max(2, updates // 4), processes)
    long = trained(folder, hidden, max(2, updates // 4) + updates, processes)
    return Cost((long.cpu - short.cpu) / updates, (long.wall - short.wall) / updates)


def gradient_bytes(folder: str, hidden: int) -> int:
    """Return the size of the gradient, of float32."""
    out = f"{folder}/size-{hidden}"
    command = [sys.executable, "-m", "charrnn_core"]
    size = ["--chars", str(BATCH * WINDOW), "--out", out]
    source = ["--source", f"{folder}/text.txt"]
    training = [*command, "run", "--cell", f"lstm:{hidden}", *ALIKE, *source, *size]
    subprocess.run(training, check=True, stdout=subprocess.DEVNULL)
    told = subprocess.run([*command, "info", out, "--json"], check=True, capture_output=True)
    return 4 * json.loads(told.stdout)["parameters"]


def expected(cpu: float, size: int, streams: float, network: Network) -> float:
    """Return the seconds of an update on paper.

    Arguments:
        cpu: CPU seconds of a character.
        size: bytes of the gradient.
        streams: those of each machine.
        network: the machines.
    """
    others = network.hosts - 1
    compute = streams * WINDOW * cpu / (network.cores * network.use)
    exchange = 2 * others / network.hosts * size / (network.gigabits * 1e9 / 8)
    return compute + exchange + 2 * others * network.message


def efficiency(cpu: float, size: int, network: Network, streams: Callable[[int], float]) -> float:
    """Return which part of the speed of all machines is left; `streams` by their number."""
    alone = expected(cpu, size, streams(1), network._replace(hosts=1))
    work = network.hosts * streams(network.hosts) / streams(1)
    together = expected(cpu, size, streams(network.hosts), network)
    return work * alone / (network.hosts * together)


def main() -> None:
    """Print what an update costs, then what to expect of many machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", default="64,256,1024", help="widths, separated by commas")
    parser.add_argument("--updates", type=int, help="how many to time (default: by the width)")
    parser.add_argument("--rounds", type=int, default=3, help="how often; medians are printed")
    parser.add_argument("--hosts", default="8,64,256,1024", help="numbers of machines")
    parser.add_argument("--gigabits", default="10,25,100", help="a second, to and from a machine")
    parser.add_argument("--cores", type=int, default=32, help="of each machine")
    parser.add_argument("--use", type=float, default=0.7, help="how well they are used, up to 1")
    parser.add_argument("--message", type=float, default=40e-6, help="seconds of each message")
    options = parser.parse_args()
    about = machine()
    print("| H | gradient, MB | CPU 1 x 2, ms | CPU 2 x 1, ms | ratio | wall 1 x 2 | wall 2 x 1 |")
    print("|---|---|---|---|---|---|---|")
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(random.Random(0).choices(string.ascii_letters, k=200_000))
        Path(folder, "text.txt").write_text(text)  # what it says is all the same to an update
        for hidden in map(int, options.hidden.split(",")):
            updates = options.updates or max(8, 20_000_000 // hidden**2)
            turns = [
                [update(folder, hidden, processes, updates) for processes in (1, 2)]
                for _ in range(options.rounds)
            ]
            one, two = (
                Cost(*(1e3 * statistics.median(kind) for kind in zip(*side, strict=True)))
                for side in zip(*turns, strict=True)
            )
            size = gradient_bytes(folder, hidden)
            costs[hidden] = one.cpu / 1e3 / (BATCH * WINDOW), size
            row = [str(hidden), f"{size / 1e6:.2f}", f"{one.cpu:.1f}", f"{two.cpu:.1f}"]
            row += [f"{two.cpu / one.cpu:.2f}", f"{one.wall:.1f}", f"{two.wall:.1f}"]
            print(f"| {' | '.join(row)} |", flush=True)
    for hidden, (cpu, size) in costs.items():
        print(
            f"\nExpected for H = {hidden}: {1e3 * cpu:.4f} CPU-ms a character, machines of "
            f"{options.cores} cores at {options.use:.0%}, {1e6 * options.message:.0f} us a message"
        )
        print("\n| machines | Gbit/s | weak, 64 streams each | strong, 4,096 streams |")
        print("|---|---|---|---|")
        for hosts in map(int, options.hosts.split(",")):
            for gigabits in map(float, options.gigabits.split(",")):
                network = Network(hosts, options.cores, options.use, gigabits, options.message)
                weak = efficiency(cpu, size, network, lambda n: 64)
                strong = efficiency(cpu, size, network, lambda n: 4096 / n)
                print(f"| {hosts} | {gigabits:g} | {weak:.0%} | {strong:.0%} |")
    print()
    print_machine(about)


if __name__ == "__main__":
    main()
