"""Write tests/data/golden-vN.crn, which every later charrnn must read.

    .venv/bin/python -m tests.make_golden

Only for a new format: raise FORMAT in charrnn_core/files/checkpoint.py first. The files of older
formats stay as they are.
"""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from charrnn_core.files.checkpoint import FORMAT, save_checkpoint

DATA = Path(__file__).resolve().parent / "data"
TABLE: dict[str, Any] = {
    "step": 12, "loop": {"best_step": 10, "status": "running", "best": 1.25, "kept": []},
    "alphabet": [10, 32, 97, 228, 8364, 128512],
    "config": {"cell": {"use": "elman", "features": 8}, "seed": 2**32 - 1, "prompt": "äußerst 😀"},
    "none": None, "truths": [True, False], "numbers": [-(2**63), -1, 0, 2**64 - 1, 0.5, -0.0],
    "bytes": bytes(range(256)), "empty": {},
}  # fmt: skip


def arrays() -> dict[str, np.ndarray]:
    """One array of every dtype, and of unusual shapes."""
    made: dict[str, np.ndarray] = {}
    for kind in ("int", "uint"):
        for bits in (8, 16, 32, 64):
            limits = np.iinfo(f"{kind}{bits}")
            made[f"{kind}{bits}"] = np.array([limits.min, 0, 1, limits.max], limits.dtype)
    numbers = [0.0, -0.0, 1.5, -2.0, np.inf, np.nan]
    for name in ("float16", "float32", "float64"):
        made[name] = np.array(numbers, name).reshape(2, 3)
    made["bfloat16"] = np.array(numbers, ml_dtypes.bfloat16).reshape(3, 1, 2)
    for name in ("complex64", "complex128"):
        made[name] = np.array([1 - 2j, 0.25j], name)
    made["bool"] = np.array([[True], [False]])
    made["scalar"] = np.array(7, np.int32)
    made["nothing"] = np.zeros((3, 0, 2), np.float32)
    made["deep/path with spaces/ä"] = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    return made


def golden(version: int = FORMAT) -> Path:
    """The file of a format."""
    return DATA / f"golden-v{version}.crn"


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    save_checkpoint(golden(), TABLE, arrays())
    print(f"{golden()}: {golden().stat().st_size} bytes")
