"""From symbols to blocks of bytes and back, whatever predicts the symbols."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from charrnn_core.compression.coder import START, encode
from charrnn_core.compression.container import Block
from charrnn_core.compression.predictor import Predictor, Source
from charrnn_core.compression.streams import Streams
from charrnn_core.errors import CompressionError
from charrnn_core.text.alphabet import Ids

_MOST_STEPS = 1 << 15
"""The length of a block, which bounds the memory that encoding takes."""


Progress = Callable[[float], None]
"""Takes the share that is done, from 0 to 1."""


def count_blocks(predictor: Predictor, streams: Streams) -> int:
    """Return how many blocks a text becomes."""
    return len(_block_starts(predictor, streams))


def encoded(
    predictor: Predictor, streams: Streams, ids: Ids, progress: Progress
) -> Iterator[Block]:
    """Yield a text's blocks.

    Arguments:
        predictor: what predicts so many streams.
        ids: the symbols of the text.
    """
    memory, size = predictor.begin(), predictor.steps
    states = np.full(streams.count, START, np.uint32)
    nothing = np.zeros(predictor.data_bytes, np.uint8)
    for first in _block_starts(predictor, streams):
        parts = []
        for begin in _call_starts(predictor, streams, first):
            given, present = streams.columns(ids, begin, begin + size)
            source = Source(given, present, np.bool_(False), states, nothing)
            memory, coded = predictor(memory, source)
            parts.append(coded.intervals)
            progress(min(1.0, (begin + size) / streams.steps))
        ends, pieces = states, []
        for intervals in reversed(parts):
            ends, piece = encode(intervals, ends)
            pieces.append(piece)
        yield Block(ends, b"".join(reversed(pieces)))


def decoded(
    predictor: Predictor, streams: Streams, blocks: Iterable[Block], ids: Ids, progress: Progress
) -> None:
    """Write the symbols of a text into an array.

    Raises:
        CompressionError: the blocks are not those of such a text, as this predictor has it.
    """
    memory, size = predictor.begin(), predictor.steps
    given = np.zeros((size, streams.count), np.int32)
    for first, (states, data) in zip(_block_starts(predictor, streams), blocks, strict=True):
        at, buffer = 0, np.frombuffer(data, np.uint8)
        for begin in _call_starts(predictor, streams, first):
            present = streams.present(begin, begin + size)
            window = buffer[at : at + predictor.data_bytes]
            window = np.pad(window, (0, predictor.data_bytes - len(window)))
            source = Source(given, present, np.bool_(True), states, window)
            memory, coded = predictor(memory, source)
            streams.put(ids, begin, np.asarray(coded.ids))
            states, at = np.asarray(coded.states), at + int(coded.read)
            progress(min(1.0, (begin + size) / streams.steps))
        if at != len(buffer) or (states != START).any():
            raise CompressionError(
                "what was decoded is not what was encoded: the model's arithmetic is another here "
                "than where it was compressed; decompress it on that machine, with the same "
                "versions of jax and charrnn"
            )


def _block_starts(predictor: Predictor, streams: Streams) -> range:
    return range(0, streams.steps, _MOST_STEPS // predictor.steps * predictor.steps)


def _call_starts(predictor: Predictor, streams: Streams, first: int) -> range:
    end = min(first + _MOST_STEPS // predictor.steps * predictor.steps, streams.steps)
    return range(first, end, predictor.steps)
