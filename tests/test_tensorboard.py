"""TensorBoard's event files: nothing lost, nothing doubled, whatever interrupts a run."""

import json
import math
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from charrnn_tensorboard.observer import TensorBoardObserver
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core import RunConfig, resume, train
from charrnn_core.errors import CheckpointError, StorageError
from charrnn_core.events import Ended, Sampled, Started, Stepped
from charrnn_core.files.plain import plain
from charrnn_core.runs.writer import RunWriter
from tests.conftest import PLAIN, PLAIN_OPTIONS
from tests.event_files import (
    assert_as_logged,
    assert_samples_as_logged,
    events,
    objects,
    scalars,
    texts,
)
from tests.resuming import quiet
from tests.signalled import signalled


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=8, characters=6000,
        observers="jsonl,tensorboard", sample_length=5, shards=1, **PLAIN,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(config, tmp_path_factory) -> Path:
    """A run that was interrupted, went on, and was then made longer."""
    out, calls = tmp_path_factory.mktemp("runs") / "run", iter(range(1000))
    train(config, out=out, stop=lambda: next(calls) > 60, updates_per_call=2, note=quiet)
    first = objects(out / "metrics.jsonl")
    assert resume(out, note=quiet).reason == "finished"
    assert first and objects(out / "metrics.jsonl")[: len(first)] == first
    assert resume(out, budget={"characters": 9000}, note=quiet).reason == "finished"
    return out


def test_each_row_is_an_event_with_its_figures(run):
    found = scalars(run)
    assert_as_logged(run, found)
    bits = [(step, value / math.log(2)) for step, value in found["held_out/nats_per_char"]]
    assert [step for step, _ in bits] == [step for step, _ in found["held_out/bits_per_char"]]
    assert np.allclose(bits, found["held_out/bits_per_char"])
    intervals = [row["held_out_interval"] for row in objects(run / "metrics.jsonl")
                 if "held_out_interval" in row]  # fmt: skip
    ends = [found[f"held_out/nats_interval_{end}"] for end in ("low", "high")]
    assert np.allclose([[v for _, v in end] for end in ends], np.transpose(intervals))


def test_samples_settings_and_the_result_are_there_once(run):
    assert_samples_as_logged(run)
    begun, longer = texts(run, "settings")  # those that changed
    assert begun[0] == 0 and "characters = 6000" in begun[1]
    assert longer[0] > 0 and "characters = 9000" in longer[1] and "    [cell]" in longer[1]
    evaluation = json.loads((run / "evaluation.json").read_text())
    expected = pytest.approx(evaluation["nats_per_char"], rel=1e-6)
    assert scalars(run)["result/nats_per_char"] == [(evaluation["step"], expected)]


def test_the_settings_are_hyperparameters(run):
    from tensorboardX.proto import plugin_hparams_pb2

    [first, _] = [
        value.metadata.plugin_data.content
        for event in events(run)
        for value in event.summary.value
        if value.tag == "_hparams_/session_start_info"
    ]
    found = (
        vars(plugin_hparams_pb2)["HParamsPluginData"].FromString(first).session_start_info.hparams
    )
    assert found["cell"].string_value == "elman" and found["cell.features"].number_value == 4
    assert found["parameters"].number_value > 0


def test_a_run_is_removed_with_its_event_files(run, tmp_path):
    out = Path(shutil.copytree(run, tmp_path / "run"))
    assert RunWriter(out).remove() == [] and not out.exists()


def test_without_tensorboardx_it_says_what_to_install(charrnn, tmp_path, text_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    done = charrnn("run", "--source", text_file, "--observer", "tensorboard", "--out", "run",
                   "--cell", "elman:4", *PLAIN_OPTIONS)  # fmt: skip
    assert done.returncode == 1 and not (tmp_path / "run").exists()
    assert done.stderr.splitlines()[-1] == (
        "Error: tensorboardX is missing; pip install 'charrnn[tensorboard]'"
    )
    assert "epoch" not in done.stdout


@pytest.mark.parametrize(
    "state",
    [None, {}, {"files": [[1, -1]], "step": 0, "settings": ""}, {"files": 3},
     {"files": [["../../victim", 3]], "step": 0, "settings": ""}],
)  # fmt: skip
def test_a_state_that_is_none(state):
    with pytest.raises(CheckpointError, match="lengths of TensorBoard's files are .*; expected"):
        TensorBoardObserver().restore(state)


@pytest.mark.parametrize("link", ["observers", "observers/tensorboard"])
def test_a_directory_that_is_a_link(tmp_path, link):
    place = tmp_path / "elsewhere" / "tensorboard"
    place.mkdir(parents=True)
    (place / "events.out.tfevents.000001.charrnn").write_text("another's")
    (tmp_path / "run" / link).parent.mkdir(parents=True)
    (tmp_path / "run" / link).symlink_to(place if "/" in link else place.parent)
    with pytest.raises(StorageError, match=f"{link} is a symbolic link; expected a directory"):
        TensorBoardObserver().on_start(started(tmp_path / "run", 0))
    [left] = place.iterdir()
    assert left.read_text() == "another's"


# --- Every order of what may happen to an observer. ---


def started(directory: Path, step: int) -> Started:
    return Started(
        directory=directory, config={"cell": {"use": "elman"}}, parameters=3, symbols=2,
        train_characters=9, held_out_characters=9, step=step,
    )  # fmt: skip


def stepped(step: int, nats: float) -> Stepped:
    return Stepped(
        step=step, epoch=0.0, characters=step, train_nats_per_char=nats,
        held_out_nats_per_char=None, characters_per_second=1.0, progress=0.0, seconds_left=1.0,
    )  # fmt: skip


class Life:
    """A training as an observer sees it, and what should be left of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rows: list[tuple[int, float]] = []
        self.samples: list[int] = []
        self.step, self.updates = 0, 0
        self.saved: tuple | None = None
        self.observer = TensorBoardObserver()
        self.observer.on_start(started(directory, 0))

    def update(self) -> None:
        self.step += 1
        self.updates += 1
        nats = float(np.float32(self.updates / 7))
        self.observer.on_step(stepped(self.step, nats))
        self.rows.append((self.step, nats))

    def sample(self) -> None:
        self.observer.on_sample(Sampled(step=self.step, epoch=0.0, prompt="", text="ho"))
        self.samples.append(self.step)

    def save(self) -> None:
        state = plain(self.observer.state(), 10_000)
        self.saved = state, self.step, list(self.rows), list(self.samples)

    def _back(self) -> object:
        if self.saved is None:
            self.step, self.rows, self.samples = 0, [], []
            return None
        state, self.step, rows, samples = self.saved
        self.rows, self.samples = list(rows), list(samples)
        return state

    def resume(self) -> None:
        state = self._back()
        self.observer._files.close()  # as the end of a process does
        self.observer = TensorBoardObserver()
        if state is not None:
            self.observer.restore(state)
        self.observer.on_start(started(self.directory, self.step))

    def kill(self) -> None:
        """Die amid a write."""
        files = sorted((self.directory / "observers" / "tensorboard").glob("*"))
        if files:
            with open(files[-1], "ab") as file:
                file.write(b"half a record")
        self.resume()

    def end(self) -> None:
        self.observer.on_end(
            Ended(step=self.step, reason="interrupted", held_out_nats_per_char=None, seconds=1.0,
                  directory=self.directory)
        )  # fmt: skip
        self.resume()

    def roll_back(self) -> None:
        if self.saved is not None:
            self.observer.restore(self._back())
            self.save()


ACTS = ["update", "update", "sample", "save", "kill", "end", "roll_back"]


@given(st.lists(st.sampled_from(ACTS), max_size=40))
@settings(max_examples=60)
def test_whatever_happens_each_event_is_there_once(acts):
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder))
        for act in acts:
            getattr(life, act)()
        life.observer._files.close()
        assert scalars(Path(folder)).get("train/nats_per_char", []) == life.rows
        assert [step for step, _ in texts(Path(folder), "sample")] == life.samples
        assert [step for step, _ in texts(Path(folder), "settings")] == [0]


def test_an_observer_that_joins_a_run_leaves_what_is_there(tmp_path):
    life = Life(tmp_path)
    life.update()
    life.saved = None, 1, [], []
    life.resume()
    life.update()
    life.observer._files.close()
    assert [step for step, _ in scalars(tmp_path)["train/nats_per_char"]] == [1, 2]


# --- Real processes. ---


def process(*arguments: object) -> subprocess.Popen:
    command = signalled(sys.executable, "-m", "charrnn_core", *arguments)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def begun(text_file: Path, out: Path, characters: int) -> subprocess.Popen:
    return process(
        "run", "--source", text_file, "--cell", "elman:4",
        "--batch", 4, "--window", 8, "--characters", characters, "--save-every", 1e-6,
        "--observer", "tensorboard", "--sample-length", 5, "--out", out, "--shards", 1,
        *PLAIN_OPTIONS,
    )  # fmt: skip


def kill_after_rows(training: subprocess.Popen, out: Path, count: int) -> None:
    """Kill a training once its log has so many rows."""
    for _ in range(1200):
        log = out / "metrics.jsonl"
        if log.exists() and log.read_bytes().count(b"\n") >= count:
            break
        assert training.poll() is None, training.communicate()
        time.sleep(0.05)
    training.kill()
    training.communicate()
    assert training.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_and_resumed(text_file, tmp_path):
    out = tmp_path / "run"
    kill_after_rows(begun(text_file, out, 200_000), out, 3)
    assert resume(out, note=quiet).reason == "finished"
    assert_as_logged(out, scalars(out))
    assert_samples_as_logged(out)
    assert len(texts(out, "settings")) == 1


@pytest.mark.slow
def test_killed_at_random_moments(text_file, tmp_path):
    """What TensorBoard itself reads of a run that was killed eight times."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out, rng, kills = tmp_path / "run", random.Random(), 0
    training = begun(text_file, out, 2_000_000)
    kill_after_rows(training, out, 1)
    while kills < 8:
        training = process("resume", out)
        time.sleep(rng.random() * 8)
        if training.poll() is not None:
            break
        training.kill()
        training.communicate()
        kills += 1
    else:
        training = process("resume", out)
    _, said = training.communicate(timeout=300)
    assert training.returncode == 0 and kills > 2, said
    assert_as_logged(out, scalars(out))
    assert_samples_as_logged(out)
    assert len(texts(out, "settings")) == 1
    read = accumulator.EventAccumulator(
        str(out / "observers" / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0}
    )
    read.Reload()
    found = {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    assert_as_logged(out, found)
