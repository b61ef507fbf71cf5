"""Runs to look into, and what a page of ``charrnn inspect`` has in it."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np

from charrnn_core import RunConfig, train


def made(out, source, **settings):
    given = dict(
        cell="lstm:6", embedding=5, context=3, batch=4, window=16, characters=6000, observers=(),
        sample_length=5,
    )  # fmt: skip
    config = RunConfig(source=str(source), **(given | settings))
    return train(config, out=out, note=lambda line: None)


def data_of(path: Path) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())
    assert found
    return json.loads(found[1])


def unpacked(data: dict) -> dict[str, np.ndarray]:
    """The arrays of a page by name, as `charrnn_core.javascript.packing` packs them."""
    buffer, at, found = zlib.decompress(base64.b64decode(data["packed"]["base64"])), 0, {}
    for name, (kind, length) in zip(data["names"], data["packed"]["arrays"], strict=True):
        found[name] = np.frombuffer(buffer, kind, length, at)
        at += -(-found[name].nbytes // 8) * 8
    return found
