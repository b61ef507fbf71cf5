"""A run goes on only as it began: each change is refused, with both values and the flag."""

import shutil
from pathlib import Path

import pytest

from charrnn_core import RunConfig, resume, train
from charrnn_core.errors import (
    CharRNNError,
    CheckpointError,
    DeviceError,
    OptionError,
    ResumeError,
    RunDirectoryError,
    UnknownNameError,
)
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.opening import open_checkpoint
from tests.conftest import PLAIN
from tests.resuming import quiet


@pytest.fixture(scope="module")
def begun(tmp_path_factory, small_text):
    """A run that was interrupted at once, and the text it is about."""
    base = tmp_path_factory.mktemp("begun")
    (base / "text.txt").write_text(small_text)
    config = RunConfig(
        source=str(base / "text.txt"), cell="elman:4", batch=4, window=8, characters=2000,
        observers="jsonl", sample_length=5, shards=1, **PLAIN,
    )  # fmt: skip
    train(config, out=base / "run", stop=lambda: True, note=quiet)
    return base


@pytest.fixture
def text(begun, small_text):
    """The text of the run, which a test may change."""
    (begun / "text.txt").write_text(small_text)
    return begun / "text.txt"


@pytest.fixture
def run(begun, text, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(begun / "run", tmp_path / "run"))


def rewrite(run, change):
    """Change the table of the newest checkpoint, with a digest that is right."""
    path, checkpoint = open_checkpoint(run, quiet)
    table = dict(checkpoint.table)
    change(table)
    save_checkpoint(path, table, checkpoint.arrays)


def test_another_text(run, text, small_text):
    text.write_text(small_text.replace("Ann", "Bob", 1))
    expected = (
        f"the text of .*text.txt has changed: it was '{len(small_text)} characters with SHA-256 "
        f".*' in the checkpoint and is now '{len(small_text)} characters .* --allow-change text"
    )
    with pytest.raises(ResumeError, match=expected):
        resume(run, note=quiet)
    assert resume(run, allow=["text"], note=quiet).reason == "finished"


def test_another_alphabet(run, text, small_text):
    text.write_text(small_text + "Zoë\n")
    with pytest.raises(ResumeError, match="the alphabet .* is now .* symbols with .Z., .ë..; "):
        resume(run, allow=["text"], note=quiet)
    result = resume(run, allow=["text", "alphabet"], note=quiet)
    assert result.reason == "finished" and "Z" not in result.model.alphabet.symbols


@pytest.mark.parametrize(
    "line, change, message",
    [
        ("window = 8", "window = 16", "window of the config has changed: it was 8 .* is now 16"),
        ("seed = 0", "seed = 1", "seed of the config has changed: it was 0 .* is now 1"),
        ("features = 4", "features = 5", "cell of the config has changed: .*'features': 4.*5"),
    ],
)
def test_another_configuration(run, line, change, message):
    file = run / "config.toml"
    file.write_text(file.read_text().replace(line, change))
    with pytest.raises(ResumeError, match=f"{message}.* --allow-change config"):
        resume(run, note=quiet)
    if "features" in line:
        with pytest.raises(CheckpointError, match=r"params/cell/.* in the file; the model expects"):
            resume(run, allow=["config"], note=quiet)
    else:
        result = resume(run, allow=["config"], note=quiet)
        assert getattr(result.model.config, line.split()[0]) == int(change.split()[-1])


def test_a_longer_budget_in_the_file_is_an_extension(run):
    file = run / "config.toml"
    file.write_text(file.read_text().replace("characters = 2000", "characters = 2500"))
    assert resume(run, note=quiet).model.config.characters == 2500


def test_another_plugin(run):
    def older(table):
        for record in table["plugins"]:
            if record["kind"] == "optimizer":
                record["version"] = "0.0.1"

    rewrite(run, older)
    expected = "provider of optimizer 'nadam' has changed: it was 'charrnn 0.0.1, .*'charrnn 0"
    with pytest.raises(ResumeError, match=f"{expected}.* --allow-change plugins"):
        resume(run, note=quiet)
    assert resume(run, allow=["plugins"], note=quiet).reason == "finished"


def test_another_environment_is_only_said(run):
    rewrite(run, lambda table: table["environment"].update(jax="0.1"))
    notes = []
    assert resume(run, note=notes.append).reason == "finished"
    assert [line for line in notes if "jax was 0.1 and is" in line]


def test_more_shards_than_devices(run):
    import jax

    more = len(jax.devices()) + 1
    config = run / "config.toml"
    config.write_text(config.read_text().replace("shards = 1", f"shards = {4 * more}")
                      .replace("batch = 4", f"batch = {4 * more}"))  # fmt: skip
    rewrite(run, lambda table: table["config"].update(shards=4 * more, batch=4 * more))
    with pytest.raises((DeviceError, CheckpointError), match="JAX_NUM_CPU_DEVICES|batch|carry"):
        resume(run, note=quiet)


def test_other_shards(run):
    config = run / "config.toml"
    config.write_text(config.read_text().replace("shards = 1", "shards = 2"))
    with pytest.raises(ResumeError, match="shards of the config .* --allow-change shards"):
        resume(run, note=quiet)
    assert resume(run, allow=["shards"], note=quiet).reason == "finished"


def test_shards_that_do_not_divide_the_batch(tmp_path, text_file):
    config = RunConfig(source=str(text_file), cell="elman:4", batch=4, window=8, shards=3)
    with pytest.raises(OptionError, match="shards is 3; expected a number that divides .* 4"):
        train(config, out=tmp_path / "run", note=quiet)
    assert not (tmp_path / "run").exists()


def test_other_arrays(run):
    path, checkpoint = open_checkpoint(run, quiet)
    arrays = {p: a for p, a in checkpoint.arrays.items() if not p.startswith("carry")}
    save_checkpoint(path, checkpoint.table, arrays)
    with pytest.raises(CheckpointError, match="the model has carry.*, the file does not"):
        resume(run, note=quiet)


def test_a_checkpoint_that_is_for_sampling_only(run):
    rewrite(run, lambda table: table.pop("loop"))
    with pytest.raises(CheckpointError, match="lacks 'loop', which resuming needs"):
        resume(run, note=quiet)


@pytest.mark.parametrize("key", ["config", "alphabet", "plugins", "corpus", "loop", "observers"])
def test_a_crafted_table_is_an_error_and_no_crash(run, key):
    for value in (None, 3, "x", [1], [[1]], {"a": 1}):
        if (key, value) != ("observers", {"a": 1}):  # nobody of that name asks for it
            rewrite(run, lambda table: table.update({key: value}))  # noqa: B023  # called at once
            with pytest.raises(CharRNNError):
                resume(run, note=quiet)


def test_what_is_no_run(run, tmp_path):
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        resume(tmp_path / "nowhere", note=quiet)
    assert not (tmp_path / "nowhere").exists()
    [newest] = RunDirectory(run).saved()
    with pytest.raises(ResumeError, match="charrnn run --init-from .*step-000000000.crn"):
        resume(newest, note=quiet)
    with pytest.raises(UnknownNameError, match="no change to allow named 'txt' .did you mean 'te"):
        resume(run, allow=["txt"], note=quiet)
    for path in RunDirectory(run).saved():
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint .* can be used: .*restore one"):
        resume(run, note=quiet)


def test_a_damaged_checkpoint_is_passed_over(run):
    resume(run, note=quiet)
    newest, notes = RunDirectory(run).saved()[-1], []
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 4
    newest.write_bytes(data)
    assert resume(run, note=notes.append).reason == "finished"
    assert "is damaged" in notes[0] and "; using step-" in notes[0] and len(notes) == 1
    assert load_checkpoint(newest).table["loop"]["status"] == "finished"


def test_a_directory_with_a_run_is_not_overwritten(run, text):
    config = RunConfig(cell="elman:4", source=str(text))
    before = sorted(path.name for path in run.rglob("*"))
    with pytest.raises(RunDirectoryError, match="already holds a run; .*charrnn resume"):
        train(config, out=run, note=quiet)
    assert sorted(path.name for path in run.rglob("*")) == before
