"""Pieces as OpenAI's clients read them."""

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from charrnn_core.errors import CharRNNError
from charrnn_serve.asked import Asked, RefusedError
from charrnn_serve.served import Piece, Served, Writing, joined


class Answer:
    """The answer to a completion: whole, or as events.

    Arguments:
        served: the model.
        asked: what is asked for.
        writing: its samples.
        prompts: the pieces that stand before the samples of each prompt, if it is echoed.
        seconds: how long may be written.
    """

    def __init__(
        self,
        served: Served,
        asked: Asked,
        writing: Writing,
        prompts: Sequence[Piece],
        seconds: float,
    ) -> None:
        self._asked, self._writing, self._prompts, self._seconds = asked, writing, prompts, seconds
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": served.name,
        }
        self._unit = served.model.alphabet
        self._lengths = [0] * writing.count
        self._written = 0

    async def whole(self) -> dict[str, Any]:
        """Return all that is written."""
        parts: list[list[Piece]] = [[] for _ in range(self._writing.count)]
        async for piece in self._pieces():
            parts[piece.number].append(piece)
        choices = [self._choice(joined(some)) for some in parts]
        return {**self._head, "choices": choices, "usage": self._usage()}

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what is written, piece by piece; an error is the last event."""
        try:
            async for piece in self._pieces():
                yield {**self._head, "choices": [self._choice(piece)]}
        except CharRNNError as error:
            yield RefusedError(500, str(error)).table()
            return
        if self._asked.usage:
            yield {**self._head, "choices": [], "usage": self._usage()}

    async def _pieces(self) -> AsyncIterator[Piece]:
        for index in range(self._writing.count if self._prompts else 0):
            yield self._prompts[index // self._asked.choices]._replace(number=index, finish=None)
        async for piece in self._writing.pieces(self._seconds):
            self._written += len(self._unit.encode(piece.text, "skip"))
            yield piece

    def _choice(self, piece: Piece) -> dict[str, Any]:
        start = self._lengths[piece.number]
        self._lengths[piece.number] += len(piece.text)
        log_p = None if self._asked.top is None else log_probabilities(piece, start)
        return {
            "text": piece.text,
            "index": piece.number,
            "logprobs": log_p,
            "finish_reason": piece.finish,
        }

    def _usage(self) -> dict[str, int]:
        read, written = self._writing.read, self._written
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


def log_probabilities(piece: Piece, start: int = 0) -> dict[str, Any]:
    """Return the log-probabilities of a piece's characters, in nats, from a place in the text."""
    offsets, place = [], start
    for character in piece.characters:
        offsets.append(place)
        place += len(character.text)
    return {
        "tokens": [character.text for character in piece.characters],
        "token_logprobs": [character.model for character in piece.characters],
        "top_logprobs": [dict(top) for top in piece.tops] or None,
        "text_offset": offsets,
    }
