"""Where a text repeats itself, and how far such a prediction is to be trusted."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Array
from charrnn_core.compression.hashing import place, with_byte

_LEAST, _LONGEST = 6, 32


class Repetition(NamedTuple):
    """What was read, and where it goes on where it was read before.

    Fields:
        text: uint8[B L], the bytes of all streams, one stream after another.
        read: int32, how many bytes were read of each stream.
        places: int32[2^k], where strings of six bytes went on last; -1 for nowhere.
        goes_on: int32[B], where the text goes on if each stream repeats it.
        length: int32[B], for how many bytes it has; 0 if it does not.
        counts: float32[32,2], how often it did not go on and did, by the length.
    """

    text: Any
    read: Any
    places: Any
    goes_on: Any
    length: Any
    counts: Any

    @classmethod
    def none(cls, streams: int, steps: int, bits: int) -> "Repetition":
        """Return what is known before streams of so many bytes; the index has 2^bits places."""
        return cls(
            text=np.zeros(streams * steps, np.uint8),
            read=np.int32(0),
            places=np.full(1 << bits, -1, np.int32),
            goes_on=np.zeros(streams, np.int32),
            length=np.zeros(streams, np.int32),
            counts=np.ones((_LONGEST, 2), np.float32),
        )

    @property
    def expected(self) -> Array:
        """Return the byte that each stream repeats next, ``int32[B]``; -1 for none."""
        return jnp.where(self.length > 0, self.text[self.goes_on].astype(jnp.int32), -1)

    @property
    def _group(self) -> Array:
        return jnp.minimum(self.length, _LONGEST - 1)

    @property
    def trust(self) -> Array:
        """Return the logarithm of how much likelier each repetition is to go on than not to."""
        did_not, did = jnp.log(self.counts[self._group]).T
        return did - did_not

    def after_bit(self, right: Array, told: Array) -> "Repetition":
        """Count whether repetitions were right: ``bool[B]``, where `told` that they said a bit."""
        added = told.astype(jnp.float32)
        return self._replace(counts=self.counts.at[self._group, right.astype(jnp.int32)].add(added))

    def after_byte(self, last: Array) -> "Repetition":
        """Remember the last bytes, ``uint8[B,8]``, the newest first."""
        streams = len(last)
        each = len(self.text) // streams
        here = jnp.arange(streams, dtype=jnp.int32) * each + jnp.minimum(self.read, each - 1)
        text = self.text.at[here].set(last[:, 0])
        hashed = jnp.zeros(streams, jnp.uint32)
        for k in range(_LEAST):
            hashed = with_byte(hashed, last[:, k])
        at = place(hashed, len(self.places))
        found = self.places[at]
        still = (self.length > 0) & (self.text[self.goes_on] == last[:, 0])
        goes_on = jnp.where(still, self.goes_on + 1, found)
        length = jnp.where(still, self.length + 1, 1)
        possible = (goes_on >= 0) & (goes_on < len(text))
        return self._replace(
            text=text,
            read=self.read + 1,
            places=self.places.at[at].set(here + 1),
            goes_on=jnp.where(possible, goes_on, 0),
            length=jnp.where(possible, length, 0),
        )
