"""Files are whole or absent; a checkpoint gives back what went in, or says what is wrong."""

import errno
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import storage
from charrnn_core.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.errors import CheckpointError, StorageError

TABLE = {"step": 3, "config": {"cell": {"use": "elman"}}, "alphabet": [97, 98]}


def tree():
    rng = np.random.default_rng(0)
    params = {
        "W": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32),
        "half": jnp.asarray(rng.normal(size=(5,)), jnp.bfloat16),
        "empty": jnp.zeros((0, 2)),
    }
    return {"params": params, "opt": optax.adam(0.1).init(params), "step": jnp.int32(7)}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.crn"
    save_checkpoint(path, TABLE, tree())
    return path


def test_what_goes_in_comes_out(file):
    checkpoint = load_checkpoint(file)
    assert checkpoint.table == TABLE
    template = jax.eval_shape(tree)
    for name, expected in tree().items():
        got = checkpoint.restore(template[name], name)
        assert jax.tree.structure(got) == jax.tree.structure(expected)
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            assert one.dtype == other.dtype and one.tobytes() == np.asarray(other).tobytes()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p: p | {"W": jnp.zeros((4, 3))}, r"params/W is float32\[3, 4\].*\[4, 3\]"),
        (lambda p: p | {"W": jnp.zeros((3, 4), jnp.int32)}, r"expects int32\[3, 4\]"),
        (lambda p: p | {"b": jnp.zeros(1)}, "the model has params/b, the file does not"),
        (lambda p: {"W": p["W"], "half": p["half"]}, "the file has params/empty, the model"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(file, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(file).restore(change(tree()["params"]), "params")


def test_any_damage_is_noticed(file):
    data = file.read_bytes()
    rng = np.random.default_rng(1)
    for cut in range(0, len(data), 7):
        file.write_bytes(data[:cut])
        with pytest.raises(CheckpointError):
            load_checkpoint(file)
    for _ in range(200):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            load_checkpoint(file)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "foreign.crn"
    for content in (data, b"CRNN\x01\x00" + data):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_a_newer_format_asks_for_an_upgrade(file):
    data = bytearray(file.read_bytes())
    data[4] = 9
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="has format 9; this charrnn reads up to 1: upgrade"):
        load_checkpoint(file)


def test_a_missing_file(tmp_path):
    with pytest.raises(StorageError, match="cannot read .*: No such file"):
        load_checkpoint(tmp_path / "none.crn")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, code, failing):
    path = tmp_path / "a.crn"
    storage.write_atomically(path, [b"old"])

    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(StorageError, match=f"cannot write .*a.crn: {os.strerror(code)}"):
        storage.write_atomically(path, [b"new"])
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.crn"]


def test_a_lock_is_held_once(tmp_path):
    with storage.locked(tmp_path / "lock"):
        with pytest.raises(StorageError, match="locked by another process"):
            with storage.locked(tmp_path / "lock", timeout=0):
                pass
    with storage.locked(tmp_path / "lock", timeout=0):
        pass


def test_the_cache_directory_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    assert storage.cache_directory() == tmp_path
    monkeypatch.delenv("CHARRNN_CACHE")
    assert storage.cache_directory().name == "charrnn"


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create"):
        storage.make_directory(tmp_path / "file" / "run")
