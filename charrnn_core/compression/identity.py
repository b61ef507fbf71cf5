"""What compressed bytes depend on: the model, and the machine and versions that compute with it."""

import functools
import json
import platform
from importlib.metadata import version

import jax
import numpy as np

from charrnn_core.compression.container import digest
from charrnn_core.devices import processor_lines
from charrnn_core.runs.model import Model

_INSTRUCTIONS = (
    "sse4_2 avx fma f16c avx2 avx512f avx512dq avx512cd avx512bw avx512vl avx512vbmi avx512_vnni "
    "avx512_bf16 avx512_fp16 avx_vnni avx_vnni_int8 avx10 amx_tile amx_int8 amx_bf16 amx_fp16 "
    "asimd asimdhp asimddp asimdfhm fphp sve sve2 i8mm bf16 svei8mm svebf16 sme"
).split()
"""Those of a processor that decide how numbers are multiplied and in which order they are added."""


def model_digest(model: Model) -> bytes:
    """Return a digest of all that decides what a model predicts: configuration and parameters."""
    network = model.network
    described = {
        "alphabet": model.alphabet.table(),
        "cell": model.config.cell.table(),
        "embedding": network.embedding,
        "tied": network.tied,
        "separator": network.separator,
        "context": [network.context.order, network.context.bits, network.context.owners.hex()],
        "counts": [network.counts.order, network.counts.letters.hex()],
        "unroll": network.unroll_mode,
    }
    parts = [json.dumps(described, sort_keys=True).encode()]
    for path, leaf in jax.tree.leaves_with_path(model.params):
        array = np.asarray(leaf)
        parts.append(f"{jax.tree_util.keystr(path)} {array.dtype.name} {array.shape}".encode())
        parts.append(array.tobytes())
    return digest(*parts)


@functools.cache
def surroundings() -> dict[str, str]:
    """Return what predictions depend on besides, down to the last bit.

    >>> list(surroundings())
    ['jax', 'jaxlib', 'charrnn', 'machine']
    """
    return {
        "jax": version("jax"),
        "jaxlib": version("jaxlib"),
        "charrnn": version("charrnn"),
        "machine": _machine(),
    }


def _machine() -> str:
    """Return the kind of machine: its architecture and the instructions that it has."""
    backend = jax.default_backend()
    if backend != "cpu":
        return f"{backend} {jax.devices()[0].device_kind}"
    flags = next(
        (line for line in processor_lines() if line.lower().startswith(("flags", "features"))), ""
    ).split()
    return " ".join([platform.machine(), *(name for name in _INSTRUCTIONS if name in flags)])
