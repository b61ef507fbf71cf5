"""The words of a text: the one that is being read, and the two before it."""

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jax import lax

from charrnn_core.arrays import Array, Ids, Reset
from charrnn_core.network.context import HASH_SPREAD, HASH_STEP


@dataclass(frozen=True)
class Words:
    """Hashes the word that is being read, alone, with the last one, and with the last two.

    With d = c + 1 for the id c that was read, all modulo 2^32: a letter makes ``w' = 16777619 w +
    d`` of the word w that is being read. Anything else ends it: ``w' = 0``, and if w was not 0,
    ``u' = 2654435769 w`` is the last word, and ``v' = 2654435769 u`` the one before. Where a text
    or document begins there has been no word: w = u = v = 0. The hashes are

        h_1 = 16777619 w + x;  h_2 = 16777619 h_1 + u;  h_3 = 16777619 h_2 + v

    with x = 0 after a letter and d otherwise.

    Arguments:
        letters: for each id 1 if it is that of a letter, otherwise 0.

    >>> words = Words(bytes([0, 1, 1]))
    >>> text = jnp.array([[1], [2], [0], [1], [2]])
    >>> hashes, state = words.find(words.begin(1), text, begins=None)
    >>> hashes.shape, (hashes[1, 0] == hashes[4, 0]).tolist()
    ((5, 1, 3), [True, False, False])
    """

    letters: bytes = field(default=b"", repr=False)

    def begin(self, batch: int) -> Array:
        """Return w, u and v before the first character of `batch` streams: ``uint32[B,3]``."""
        return jnp.zeros((batch, 3), jnp.uint32)

    def find(self, state: Array, inputs: Ids, begins: Reset | None) -> tuple[Array, Array]:
        """Return the hashes after each id, and the state after the window.

        Arguments:
            state: w, u and v before the window.
            inputs: ``int32[T,B]``.
            begins: ``bool[T,B]``, True where a text or document begins; None if none does.

        Returns:
            ``uint32[T,B,3]``, and ``uint32[B,3]``.
        """
        is_letter = jnp.asarray(np.frombuffer(self.letters, np.uint8))[inputs] > 0
        symbols = (inputs + 1).astype(jnp.uint32)
        fresh = jnp.zeros(inputs.shape, bool) if begins is None else begins
        step, spread = jnp.uint32(HASH_STEP), jnp.uint32(HASH_SPREAD)

        def read(state: Array, item: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            letter, symbol, begins = item
            word, last, before = jnp.where(begins[:, None], jnp.uint32(0), state).T
            ended = ~letter & (word > 0)
            last, before = (
                jnp.where(ended, spread * now, was) for now, was in ((word, last), (last, before))
            )
            word = jnp.where(letter, step * word + symbol, jnp.uint32(0))
            state = jnp.stack([word, last, before], axis=1)
            return state, state

        state, states = lax.scan(read, state, (is_letter, symbols, fresh))
        hashed = jnp.where(is_letter, jnp.uint32(0), symbols)
        word, last, before = (states[..., k] for k in range(3))
        one = step * word + hashed
        two = step * one + last
        return jnp.stack([one, two, step * two + before], axis=-1), state
