"""Trainings of many processes on this machine, and what two runs have to have in common."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from charrnn_core.files.checkpoint import load_checkpoint

_OF_THE_CLOCK = ("characters_per_second", "seconds", "spent", "seconds_left", "start_up_seconds")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Training:
    """A command of charrnn that runs in many processes.

    Arguments:
        folder: where it runs; files of what each process prints are there.
        count, devices: the processes, and how many devices each has.
        arguments: the command.
        each: more arguments, or variables, for some of the processes, by their numbers.
        env, explicit: variables for all; whether to say on the command line who they are.
        stdin: a file that the leader gets as its standard input.
        under: what starts some of the processes, such as strace and its arguments.
    """

    def __init__(self, folder, count, devices, *arguments, each=None, env=None, explicit=True,
                 stdin=None, under=None):  # fmt: skip
        self.folder, self.count = Path(folder), count
        port, each = free_port(), each or {}
        self.processes = []
        for number in range(count):
            more, variables = each.get(number, ((), {}))
            words = [*map(str, arguments), *map(str, more)]
            if explicit:
                words += ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(count)]
                words += ["--process-id", str(number)]
            given = {"JAX_NUM_CPU_DEVICES": str(devices), "CHARRNN_CACHE": str(folder / "cache")}
            source = open(stdin if stdin and not number else os.devnull)
            files = [open(self.file(number, kind), "w") for kind in ("out", "err")]
            self.processes.append(
                subprocess.Popen(
                    [*(under or {}).get(number, ()), sys.executable, "-m", "charrnn_core", *words],
                    cwd=folder,
                    stdin=source, stdout=files[0], stderr=files[1],
                    env={**os.environ, **given, **(env or {}), **variables},
                )
            )  # fmt: skip
            for file in (*files, source):
                file.close()

    def file(self, number, kind):
        return self.folder / f"process-{number}.{kind}"

    def printed(self, number, kind="err"):
        return self.file(number, kind).read_text()

    def wait(self, timeout=200):
        """Wait until all have ended, and return their exit codes."""
        try:
            return [process.wait(timeout) for process in self.processes]
        finally:
            self.kill()

    def ends(self, timeout=20):
        """Wait until all have ended; return when each did, by the clock of `time.monotonic`."""
        ended = {}
        while len(ended) < self.count:
            for number, process in enumerate(self.processes):
                if number not in ended and process.poll() is not None:
                    ended[number] = time.monotonic()
            timeout -= 0.01
            assert timeout > 0, (ended, [self.printed(i) for i in range(self.count)])
            time.sleep(0.01)
        return [ended[number] for number in range(self.count)]

    def kill(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def done(folder, count, devices, *arguments, **how):
    """Run a command in many processes, all of which have to end well."""
    with Training(folder, count, devices, *arguments, **how) as training:
        codes = training.wait()
        assert codes == [0] * count, [training.printed(i)[-2000:] for i in range(count)]
        return training


def demand_same_runs(one, other):
    """Demand that two runs have the same arrays, rows, samples and states, but for the clock."""
    names = [sorted(path.name for path in (run / "checkpoints").iterdir()) for run in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        a, b = (load_checkpoint(run / "checkpoints" / name) for run in (one, other))
        assert a.arrays.keys() == b.arrays.keys()
        differ = [k for k in a.arrays if a.arrays[k].tobytes() != b.arrays[k].tobytes()]
        assert not differ, (name, differ)
        assert _timeless(a.table["loop"]) == _timeless(b.table["loop"]), name
    for name in ("metrics.jsonl", "samples.jsonl", "incidents.jsonl", "evaluation.json"):
        assert (one / name).exists() == (other / name).exists(), name
        if (one / name).exists():
            assert _rows(one / name) == _rows(other / name), name


def _rows(path):
    text = path.read_text()
    rows = [json.loads(text)] if path.suffix == ".json" else map(json.loads, text.splitlines())
    return [_timeless(row) for row in rows]


def _timeless(table):
    return {k: v for k, v in table.items() if not k.endswith(_OF_THE_CLOCK)}
