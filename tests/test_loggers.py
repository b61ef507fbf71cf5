"""The observers of docs/loggers.md, with the real wandb and mlflow where they are installed."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PLAIN_OPTIONS
from tests.docpages import DOCS, blocks
from tests.event_files import objects
from tests.signalled import signalled

pytestmark = pytest.mark.slow
STOPS = 4


class Trained:
    """A run with an observer of the page that is stopped at random moments, and resumed."""

    def __init__(self, home: Path, name: str, text: Path, how: int, **env: str) -> None:
        self.home, self.run, self._env = home, home / "run", {**os.environ, **env}
        [plugin] = [
            block for block in blocks(DOCS / "loggers.md") if block.title == f"{name}_log.py"
        ]
        (home / plugin.title).write_text(plugin.text)
        self._plugin, rng = ("--plugin", plugin.title), random.Random()
        training = self._start(
            "run", "--source", text, "--cell", "elman:4", "--batch", 4, "--window", 8,
            "--characters", 2_000_000, "--save-every", 1e-6, "--sample-length", 5,
            "--observer", name, "--out", self.run, *PLAIN_OPTIONS,
        )  # fmt: skip
        for _ in range(STOPS):
            self._wait_for_rows(training)
            time.sleep(rng.random() * 4)
            assert training.poll() is None, training.communicate()
            training.send_signal(how)
            training.communicate()
            training = self._start("resume", self.run)
        out, _ = training.communicate(timeout=300)
        assert training.returncode == 0 and "was removed" not in out, out
        self.rows = objects(self.run / "metrics.jsonl")
        assert len(self.rows) > 9

    def _start(self, *arguments: object) -> subprocess.Popen:
        command = signalled(sys.executable, "-m", "charrnn_core", *arguments, *self._plugin)
        return subprocess.Popen(
            command, cwd=self.home, env=self._env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _wait_for_rows(self, training: subprocess.Popen) -> None:
        log = self.run / "metrics.jsonl"
        while not (log.exists() and log.stat().st_size):
            assert training.poll() is None, training.communicate()
            time.sleep(0.05)


def records(log: Path) -> Iterator[bytes]:
    """The records of a log as LevelDB writes it, after W&B's header of seven bytes."""
    data, at, parts = log.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        parts, at = parts + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # whole, or the last of its parts
            yield parts
            parts = b""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_weights_and_biases(text_file, tmp_path, how):
    protocol = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    trained = Trained(tmp_path, "wandb", text_file, how, WANDB_MODE="offline", WANDB_SILENT="true")
    logs = sorted(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert len({log.name for log in logs}) == 1 < len(logs)  # one run, whichever session wrote
    events = [protocol.Record.FromString(data) for log in logs for data in records(log)]
    rows = [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in event.history.item}
        for event in events
        if event.HasField("history")
    ]
    found = {row["_step"]: row for row in rows}
    assert len(found) == len(rows)  # none twice
    expected = {row["step"]: row for row in trained.rows}
    samples = {
        row["step"]: {"sample": row["text"]} for row in objects(trained.run / "samples.jsonl")
    }
    if how == signal.SIGTERM:  # killed, W&B's own process forgets what it has not written
        assert found.keys() == expected.keys()
    for step, row in found.items():
        logged = {**expected[step], **samples.get(step, {})}
        assert {name: row.get(name) for name in logged} == logged


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.filterwarnings("default")  # of mlflow's own
def test_mlflow(text_file, tmp_path, how):
    mlflow = pytest.importorskip("mlflow")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    trained = Trained(tmp_path, "mlflow", text_file, how, MLFLOW_TRACKING_URI=store)
    client = mlflow.MlflowClient(store)
    [run] = client.search_runs(["0"], order_by=["start_time"])
    for name in ("train_nats_per_char", "held_out_nats_per_char", "characters_per_second"):
        found = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        assert sorted(found) == [(row["step"], row[name]) for row in trained.rows if name in row]
