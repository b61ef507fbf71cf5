"""A store of bytes: whatever happens to its files, it returns what was put there, or nothing."""

import errno
import os

import numpy as np
import pytest

from charrnn_core.files.atomic import Disk
from charrnn_core.files.store import Store

KEY, VALUE = "jit_update-0123", b"a program of some bytes"


@pytest.fixture
def notes():
    return []


@pytest.fixture
def store(tmp_path, notes):
    def make(name="now", limit=10**6):
        return Store(tmp_path, name, limit=limit, note=notes.append, remedy="turn it off")

    return make


def test_what_is_put_is_got_by_every_process(store, notes):
    rng = np.random.default_rng(0)
    kept = {f"key {n}\ud800": rng.bytes(int(rng.integers(0, 5000))) for n in range(50)}
    for key, value in kept.items():
        store().put(key, value)
    assert {key: store().get(key) for key in kept} == kept
    store().put("key 0\ud800", b"another")
    assert store().get("key 0\ud800") == b"another"
    assert store().get("key 50\ud800") is None and store("later").get("key 0\ud800") is None
    assert not notes


def test_every_flipped_bit_and_every_cut_is_noticed(store, notes):
    store().put(KEY, VALUE)
    [file] = store().folder.iterdir()
    whole = file.read_bytes()
    damaged = [whole[:n] for n in range(len(whole))] + [whole + b"\0"]
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    for data in damaged:
        file.write_bytes(data)
        assert store().get(KEY) is None and not file.exists()
        assert "damaged" in notes.pop() and not notes


def test_a_file_of_another_key_is_noticed(store, notes):
    store().put(KEY, VALUE)
    [file] = store().folder.iterdir()
    store().put("other", b"value")
    [other] = set(store().folder.iterdir()) - {file}
    os.replace(file, other)
    assert store().get("other") is None and len(notes) == 1


def test_what_was_not_used_for_longest_goes_first(store, tmp_path, notes):
    limit = 20 * 132  # each file is 32 bytes longer than its value
    (tmp_path / "before").mkdir()
    for place, name in enumerate(("before/old program", ".killed.12-0123abcd.tmp")):
        (tmp_path / name).write_bytes(bytes(200))
        os.utime(tmp_path / name, (place, place))
    for n in range(30):
        if n == 15:
            assert store(limit=limit).get("0") is not None  # from now on the last one used
        store(limit=limit).put(str(n), bytes(100))
        now = 1000 + n
        for file in store().folder.iterdir():
            if file.stat().st_mtime > 2000:
                os.utime(file, (now, now))
    used = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert used <= limit
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "now"]
    found = [n for n in range(30) if store().get(str(n)) is not None]
    assert found == [0, *range(11, 30)] and not notes


def test_what_is_larger_than_everything_is_not_kept(store, notes):
    store(limit=100).put(KEY, bytes(100))
    assert store().get(KEY) is None and not notes


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("method", ["create", "write", "replace"])
def test_where_nothing_can_be_written_it_goes_on(store, notes, monkeypatch, number, method):
    store().put(KEY, VALUE)

    def fail(self, *args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Disk, method, fail)
    here = store()
    for _ in range(3):
        here.put("other", b"value")
        assert here.get("other") is None and here.get(KEY) == VALUE
    [note] = notes
    assert os.strerror(number) in note and note.endswith("turn it off")
    assert len(list(here.folder.iterdir())) == 1  # no leftovers


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_folder_of_others_is_not_used(store, notes):
    store().put(KEY, VALUE)
    store().folder.chmod(0o777)
    here = store()
    assert here.get(KEY) is None
    here.put("other", b"value")
    assert len(list(here.folder.iterdir())) == 1
    [note] = notes
    assert "other users can write" in note


def test_a_link_or_a_folder_in_place_of_a_file(store, notes, tmp_path):
    store().put(KEY, VALUE)
    [file] = store().folder.iterdir()
    elsewhere = tmp_path / "elsewhere"
    os.replace(file, elsewhere)
    file.symlink_to(elsewhere)
    assert store().get(KEY) is None
    store().put(KEY, b"new")
    assert store().get(KEY) == b"new" and elsewhere.read_bytes().endswith(VALUE)
    file.unlink()
    file.mkdir()
    assert store().get(KEY) is None
    store().put(KEY, b"new")
    assert store().get(KEY) is None and len(notes) == 1
