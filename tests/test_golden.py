"""Files of every format so far can be read, and the present format is written as it was."""

import re

import pytest

from charrnn_core.files.checkpoint import _DTYPES, FORMAT, load_checkpoint, save_checkpoint
from tests.crashes import same
from tests.make_golden import TABLE, arrays, golden

CHANGED = (
    "the layout of checkpoint files has changed: raise FORMAT in "
    "charrnn_core/files/checkpoint.py, keep reading the older formats, "
    "and write the new golden file with: python -m tests.make_golden"
)


def test_all_dtypes_are_in_it():
    assert {str(array.dtype) for array in arrays().values()} == _DTYPES


def test_there_is_a_file_of_every_format():
    versions = [int(re.sub(r"\D", "", path.stem)) for path in golden().parent.glob("golden-v*.crn")]
    assert sorted(versions) == list(range(1, FORMAT + 1)), CHANGED


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_it_is_read(version):
    assert same(load_checkpoint(golden(version)), (TABLE, arrays())), CHANGED


def test_it_is_written_alike(tmp_path):
    save_checkpoint(tmp_path / "new.crn", TABLE, arrays())
    assert (tmp_path / "new.crn").read_bytes() == golden().read_bytes(), CHANGED
