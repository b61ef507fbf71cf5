"""Hashes of bytes, in 32 bits, of many streams at once."""

import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array

_STEP, _SPREAD = np.uint32(0x2F0B4C47), np.uint32(0x9E3779B9)


def with_byte(hashed: Array, byte: Array) -> Array:
    """Return the hash of a string that is a byte longer: ``uint32[B]``."""
    hashed = (hashed + byte.astype(jnp.uint32) + 1) * _STEP
    return hashed ^ hashed >> 15


def place(hashed: Array, size: int) -> Array:
    """Return where in a table of `size`, a power of two, hashes are: ``int32[...]``."""
    return (hashed * _SPREAD >> (33 - size.bit_length())).astype(jnp.int32)
