"""Documents inside one stream of text: where they begin, and what has to be remembered of one."""

from dataclasses import dataclass

import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Ids, Reset

_NOT_OF_THIS_TEXT = -1


@dataclass(frozen=True)
class Documents:
    """Finds where documents begin, so that the carry starts afresh there.

    A separator of n ids ends a document. The carry starts afresh before the last of them, so that
    all the model knows at the beginning of a document is that symbol.

    A separator may lie across two windows, so the n - 1 ids read last are remembered as the *tail*
    of each stream. Nor does one reach over the beginning of another text, which a reset marks: in
    the tail, ids of a text before the last are -1. A separator of one id needs no tail, and the
    carry of the network is then the cell's alone.

    Arguments:
        separator: the ids that end a document; empty if the text is one document.

    Three 7s in a row shall end a document, and one stream reads 1 7 7 7 2 7 in its first window: a
    document begins at the third 7, and 2 7 may be the beginning of another separator.

    >>> documents = Documents((7, 7, 7))
    >>> cell_carry, tail = documents.split(documents.begin(jnp.zeros((1, 4)), batch=1))
    >>> tail.tolist()
    [[-1, -1]]
    >>> window = jnp.array([[1], [7], [7], [7], [2], [7]])
    >>> begins, tail = documents.find(tail, window, reset=None)
    >>> begins[:, 0].tolist(), tail.tolist()
    ([False, False, False, True, False, False], [[2, 7]])

    In the second window it reads 7 7 7, where the second 7 is the first character of another text:
    it starts afresh there, and the third ends nothing, since only two 7s are of this text.

    >>> reset = jnp.array([[False], [True], [False]])
    >>> begins, tail = documents.find(tail, jnp.array([[7], [7], [7]]), reset)
    >>> begins[:, 0].tolist(), tail.tolist()
    ([False, True, False], [[7, 7]])
    """

    separator: tuple[int, ...] = ()

    @property
    def tail_length(self) -> int:
        """Return how many ids have to be remembered from one window to the next."""
        return max(0, len(self.separator) - 1)

    def begin(self, cell_carry: Carry, batch: int) -> Carry:
        """Return the network's carry before the first character of `batch` streams."""
        if not self.tail_length:
            return cell_carry
        return cell_carry, jnp.full((batch, self.tail_length), _NOT_OF_THIS_TEXT, jnp.int32)

    def split(self, carry: Carry) -> tuple[Carry, Array | None]:
        """Return the cell's carry and the tail, ``int32[B,n-1]``, or None if there is none."""
        return carry if self.tail_length else (carry, None)

    def join(self, cell_carry: Carry, tail: Array | None) -> Carry:
        """Return the network's carry, the inverse of `split`."""
        return (cell_carry, tail) if self.tail_length else cell_carry

    def find(
        self, tail: Array | None, inputs: Ids, reset: Reset | None
    ) -> tuple[Reset | None, Array | None]:
        """Find where the carry starts afresh.

        Arguments:
            tail: what was remembered of the windows before.
            inputs: ``int32[T,B]``.
            reset: ``bool[T,B]``, True where a new text begins; None if none does.

        Returns:
            ``bool[T,B]``, True also before the last id of a separator, or None if nothing starts
            afresh; and what to remember.
        """
        if not self.separator:
            return reset, None
        steps = inputs.shape[0]
        read, text = inputs, texts_begun(inputs, reset)
        if tail is not None:
            read = jnp.concatenate([tail.T, inputs])
            text = jnp.concatenate([jnp.zeros(tail.T.shape, jnp.int32), text])
            of_last_text = jnp.where(text == text[-1:], read, _NOT_OF_THIS_TEXT)
            tail = of_last_text[-self.tail_length :].T
        ends = jnp.ones(inputs.shape, bool)
        for i, symbol in enumerate(self.separator):
            here = slice(i, i + steps)
            ends &= (read[here] == symbol) & (text[here] == text[self.tail_length :])
        return ends if reset is None else ends | reset, tail


def texts_begun(inputs: Ids, reset: Reset | None) -> Array:
    """Return ``int32[T,B]``: for every id how many texts have begun, up to it, in its window."""
    if reset is None:
        return jnp.zeros(inputs.shape, jnp.int32)
    return jnp.cumsum(reset, axis=0, dtype=jnp.int32)
