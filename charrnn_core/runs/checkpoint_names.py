"""The names of checkpoint files in a run directory; a module of its own, for it needs no numpy."""

import re

_NAME = re.compile(r"step-([0-9]{9}|[1-9][0-9]{9})\.crn")


def checkpoint_name(step: int) -> str:
    """Return the file name of an update's checkpoint.

    >>> checkpoint_name(1234)
    'step-000001234.crn'
    """
    return f"step-{step:09d}.crn"


def step_of(name: str) -> int | None:
    """Return the update in a checkpoint's file name; None for any other name.

    >>> step_of("step-000001234.crn"), step_of("step-1.crn")
    (1234, None)
    """
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None
