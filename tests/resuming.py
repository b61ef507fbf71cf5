"""What the tests of resuming share: every bit that a run leaves behind."""

import json
from pathlib import Path

from charrnn_core.events import TimeSpent
from charrnn_core.runs.opening import open_checkpoint

CLOCKED = {"seconds", "row_seconds", "spent"}
"""What a checkpoint says of the clock, which is never the same twice."""


class Samples:
    """An observer that keeps what the model wrote, once for each update."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def on_sample(self, event) -> None:
        self.texts[event.step] = event.text


def quiet(line: str) -> None:
    """Take a line for the user, and say nothing."""


def rows(run: Path) -> list[dict]:
    """The metrics log, but for what the clock decides."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    for row in found:
        for name in ("characters_per_second", *TimeSpent().table()):
            del row[name]
    return found


def bits(run: Path) -> dict:
    """All that must not depend on where a run was interrupted."""
    _, checkpoint = open_checkpoint(run, quiet)
    loop = {k: v for k, v in checkpoint.table["loop"].items() if k not in CLOCKED}
    arrays = {path: (a.dtype.name, a.shape, a.tobytes()) for path, a in checkpoint.arrays.items()}
    return {"arrays": arrays, "loop": loop, "rows": rows(run)}


def assert_same(run: Path, expected: dict) -> None:
    """Compare, naming what differs rather than printing bytes."""
    found = bits(run)
    assert found["loop"] == expected["loop"]
    assert found["rows"] == expected["rows"]
    assert found["arrays"].keys() == expected["arrays"].keys()
    assert [p for p, a in found["arrays"].items() if a != expected["arrays"][p]] == []
