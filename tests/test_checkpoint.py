"""Files are whole or absent; a checkpoint gives back what went in, or says what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CheckpointError, StorageError
from charrnn_core.files import atomic as storage
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.network.pytree import from_arrays, to_arrays

TABLE = {"step": 3, "config": {"cell": {"use": "elman"}}, "alphabet": [97, 98]}


def tree():
    rng = np.random.default_rng(0)
    params = {
        "W": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32),
        "half": jnp.asarray(rng.normal(size=(5,)), jnp.bfloat16),
        "empty": jnp.zeros((0, 2)),
    }
    return {
        "params": params, "opt": optax.adam(0.1).init(params), "step": jnp.int32(7),
        "rng": {"key": jax.random.key(1, impl="rbg")},
    }  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.crn"
    save_checkpoint(path, TABLE, to_arrays(tree()))
    return path


def test_what_goes_in_comes_out(file):
    checkpoint = load_checkpoint(file)
    assert checkpoint.table == TABLE
    template = jax.eval_shape(tree)
    for name, expected in tree().items():
        got = from_arrays(checkpoint.arrays, template[name], name)
        assert jax.tree.structure(got) == jax.tree.structure(expected)
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            assert one.dtype == other.dtype
            if name == "rng":
                one, other = jax.random.key_data(one), jax.random.key_data(other)
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


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
        from_arrays(load_checkpoint(file).arrays, change(tree()["params"]), "params")


def test_a_key_of_another_kind_does_not_fit(file):
    with pytest.raises(CheckpointError, match="the model has rng/key#key<fry>, the file does not"):
        from_arrays(load_checkpoint(file).arrays, {"key": jax.random.key(1)}, "rng")


@pytest.mark.parametrize(
    "table, arrays, message",
    [
        ({}, {"x": np.zeros(1, "S3")}, r"cannot save x: its dtype is \|S3; expected one"),
        ({}, {"x": np.zeros(1, ">f4")}, "cannot save x: its dtype is >f4"),
        ({"x": b"x" * 2**20}, {}, "its table takes .* bytes; expected at most 524288 "),
        ({"x": {1, 2}}, {}, "cannot save .*a.crn: its table is not plain data"),
        ({"x": "\udcff"}, {}, "its table is not plain data.*surrogates"),
        ({"x": 2**64}, {}, "its table is not plain data"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused_before_the_file_is_touched(
    tmp_path, table, arrays, message
):
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / "a.crn", table, arrays)
    assert not list(tmp_path.iterdir())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "foreign.crn"
    for content in (data, b"CRNN\x01\x00" + data):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(StorageError, match="cannot read .*: No such file"):
        load_checkpoint(tmp_path / "none.crn")


def test_a_lock_is_held_once(tmp_path):
    assert not storage.is_locked(tmp_path / "lock")
    with storage.locked(tmp_path / "lock"):
        assert storage.is_locked(tmp_path / "lock")
        with pytest.raises(TimeoutError, match="locked by another process"):
            with storage.locked(tmp_path / "lock", timeout=0):
                pass
    assert not storage.is_locked(tmp_path / "lock")
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
