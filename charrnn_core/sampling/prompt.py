"""Prompts: their ids, and padding, so that prompts of many lengths are read by a few programs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from charrnn_core.text.alphabet import Alphabet, Ids


def encode_prompt(
    alphabet: Alphabet, prompt: str, unknown: str = "error", separator: tuple[int, ...] = ()
) -> Ids:
    """Return the ids of a prompt; an empty one stands for the beginning of a line.

    The beginning of a line is a line feed, or the first symbol of an alphabet without line feeds.

    Arguments:
        alphabet: the model's symbols.
        prompt: the text.
        unknown: what to do with characters outside the alphabet: ``"error"`` or ``"skip"``.
        separator: the ids that end a document. A prompt begins a document, so the last of these ids
            goes before it, as in training.

    Raises:
        UnknownSymbolError: the prompt has characters the alphabet lacks, and `unknown` is "error".

    >>> encode_prompt(Alphabet("ab"), "").tolist()
    [0]
    >>> encode_prompt(Alphabet("#ab"), "ba", separator=(0, 0)).tolist()
    [0, 2, 1]
    """
    before = np.array(separator[-1:], np.int32)
    ids = np.concatenate([before, alphabet.encode(prompt, unknown)])
    if len(ids):
        return ids
    return alphabet.encode("\n" if "\n" in alphabet.symbols else alphabet.symbols[0])


_SIZES = (16, 64, 256)
"""The lengths that prompts are padded to; longer ones are read in pieces of the last."""


def padded_length(length: int) -> int:
    """Return the number of characters that a prompt of this length is padded to.

    >>> [padded_length(n) for n in (1, 16, 17, 256, 257)]
    [16, 16, 64, 256, 512]
    """
    largest = _SIZES[-1]
    return next((size for size in _SIZES if length <= size), -(-length // largest) * largest)


def read_in_pieces(
    prompts: Sequence[Ids],
) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    """Return prompts side by side, padded at the beginning, in pieces of a few lengths.

    Arguments:
        prompts: the ids of each row.

    Returns:
        ``(ids: int32[T,B], begins: int32[B])`` of each piece: the step at which a row's prompt
        begins; negative where it has begun in a piece before, at least T where it has not yet.

    >>> [(ids, begins)] = read_in_pieces([np.array([7]), np.array([8, 9])])
    >>> ids[-3:].tolist(), begins.tolist()
    ([[0, 0], [0, 8], [7, 9]], [15, 14])
    """
    total = padded_length(max(map(len, prompts)))
    ids = np.zeros((total, len(prompts)), np.int32)
    for column, prompt in zip(ids.T, prompts, strict=True):
        column[total - len(prompt) :] = prompt
    begins = np.array([total - len(prompt) for prompt in prompts], np.int32)
    size = min(total, _SIZES[-1])
    return [(ids[at : at + size], begins - np.int32(at)) for at in range(0, total, size)]
