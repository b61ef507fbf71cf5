"""What a writer meets in a process of its own: ``python -m tests.limits KIND DIRECTORY``. No jax.

The directory is given to a run, a first checkpoint is saved, then space, permission or file size is
taken away, and a second one is tried. Prints the error; leaves with 1 if anything else is not as it
should be.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filelock  # noqa: F401  # here: later, it might not be allowed to be read

from charrnn_core.errors import StorageError
from charrnn_core.runs.writer import RunWriter
from tests.crashes import SMALL, found, make_run, save, temporaries

_NOBODY = 65534


def no_space(run: RunWriter) -> None:
    """Fill the file system: it must be one that can be filled."""
    with open(run.path.parent / "filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass


def read_only(run: RunWriter) -> None:
    """Mount the file system again."""
    subprocess.run(["mount", "-o", "remount,ro", os.getcwd()], check=True)


def small_files(run: RunWriter) -> None:
    """No file may be longer than 100 bytes. Python ignores the signal."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def no_permission(run: RunWriter) -> None:
    """Whoever may do anything becomes somebody else."""
    for path in (run.path, run.checkpoints):
        path.chmod(0o555)
    if os.geteuid() == 0:
        run.path.parent.chmod(0o755)
        os.setuid(_NOBODY)


KINDS: dict[str, Callable[[RunWriter], None]] = {
    function.__name__: function for function in (no_space, read_only, small_files, no_permission)
}


def main(kind: str, base: str) -> None:
    os.chdir(base)  # somebody else may not be allowed to go there
    run = make_run(Path("run"), 1, SMALL)
    KINDS[kind](run)
    try:
        save(run, 3)
        raise AssertionError("it was saved")
    except StorageError as error:
        print(error)
    assert not temporaries(run) and found(run, SMALL) == 1 and len(run.saved()) == 1
    if kind in ("read_only", "no_permission"):
        try:
            with run.writing():
                raise AssertionError("the lock was given")
        except StorageError as error:
            print(error)
    assert not run.is_live()


if __name__ == "__main__":
    main(*sys.argv[1:])
