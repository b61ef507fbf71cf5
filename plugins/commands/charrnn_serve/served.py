"""A model that is served: its slots, and what is asked of them from the event loop."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from charrnn_core.errors import CharRNNError, UnknownSymbolError
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.model import Model, build_sampler
from charrnn_core.sampling.chain import SamplerContext
from charrnn_core.sampling.draw import Drawn
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.sampling.text import Character, Sample
from charrnn_core.serving.batcher import Batcher, BusyError, Job
from charrnn_core.serving.slots import Slots, Told
from charrnn_serve.asked import Asked, RefusedError

Likeliest = tuple[tuple[str, float], ...]
"""The likeliest characters in a place, with their log-probabilities in nats."""


class Piece(NamedTuple):
    """What comes next of one of the samples of a request.

    Fields:
        number: which sample.
        text: what is written.
        characters: its characters, if log-probabilities are asked for.
        tops: the likeliest in the place of each; empty for an alphabet of bytes.
        finish: ``"stop"`` or ``"length"`` at the end.
    """

    number: int
    text: str
    characters: tuple[Character, ...] = ()
    tops: tuple[Likeliest, ...] = ()
    finish: str | None = None


def joined(parts: Sequence[Piece]) -> Piece:
    """Return pieces of one sample as one.

    >>> joined([Piece(0, "a"), Piece(0, "b", finish="stop")])
    Piece(number=0, text='ab', characters=(), tops=(), finish='stop')
    """
    last = parts[-1]
    return Piece(
        last.number,
        "".join(part.text for part in parts),
        tuple(each for part in parts for each in part.characters),
        tuple(each for part in parts for each in part.tops),
        last.finish,
    )


@dataclass(frozen=True, eq=False)
class Served:
    """A model with its slots.

    Arguments:
        name: what requests call it.
        model: its parameters, alphabet and registry.
        batcher: what keeps its slots busy.
        created: when its checkpoint was made, in seconds since 1970.
    """

    name: str
    model: Model
    batcher: Batcher
    created: int

    @classmethod
    def of(
        cls, name: str, model: Model, *, slots: int, waiting: int, sampler: tuple[Ref, ...] | None
    ) -> "Served":
        """Compile what a model needs, and start its thread.

        Arguments:
            sampler: what shapes a request that does not say so; by default the run's own.
        """
        from charrnn_core.evaluation.training_text import training_ids

        context = SamplerContext(model.alphabet, partial(training_ids, model))
        refs = model.config.sampler if sampler is None else sampler
        chain = build_sampler(refs, model.registry).bind(context)
        batcher = Batcher(Slots(model.network, model.params, chain, slots), waiting)
        return cls(name, model, batcher, _created(model))

    def encode(self, text: str) -> Any:
        """Return the ids of a prompt.

        Raises:
            RefusedError: it has characters that the model does not know.
        """
        alphabet, separator = self.model.alphabet, self.model.network.separator
        try:
            return encode_prompt(alphabet, text, separator=separator).astype(np.int32)
        except UnknownSymbolError as error:
            raise RefusedError(400, _without_advice(error), "prompt") from None

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let jobs take their turn.

        Raises:
            RefusedError: the server is busy.
        """
        try:
            self.batcher.submit(jobs)
        except BusyError as error:
            raise RefusedError(429, str(error), headers={"Retry-After": "1"}) from None

    async def score(self, text: str, top: int = 0) -> Piece:
        """Return a text with the log-probability of each character, as ``charrnn score`` has it.

        Raises:
            RefusedError: the model does not know a character, or the server is busy.
            CharRNNError: the model failed.
        """
        before, ids = self.encode(""), self._of_text(text)
        if not len(ids):
            return Piece(0, "", finish="length")
        queue: asyncio.Queue[Any] = asyncio.Queue()
        choice = _Choice(self, 0, (), len(before), top, asyncio.get_running_loop(), queue)
        choice.whole = True
        job = Job(np.concatenate([before, ids]), 0, choice.take, scored=True)
        self.submit([job])
        try:
            [piece] = [piece async for piece in _until_done(queue, 1)]
            return piece
        finally:
            self.batcher.cancel([job])

    def write(self, asked: Asked) -> "Writing":
        """Begin to write what is asked for."""
        return Writing(self, asked)

    def _of_text(self, text: str) -> Any:
        try:
            return self.model.alphabet.encode(text).astype(np.int32)
        except UnknownSymbolError as error:
            raise RefusedError(400, _without_advice(error), "text") from None


class Writing:
    """The samples of a request while they are written.

    Arguments:
        served: the model.
        asked: what is asked for.

    Raises:
        RefusedError: a prompt has characters that the model does not know, or the server is busy.
    """

    def __init__(self, served: Served, asked: Asked) -> None:
        self._served = served
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._choices: list[_Choice] = []
        self.count = len(asked.prompts) * asked.choices
        seed = secrets.randbelow(2**32) if asked.seed is None else asked.seed
        loop, self._jobs, self.read = asyncio.get_running_loop(), [], 0
        for index in range(self.count):
            ids = served.encode(asked.prompts[index // asked.choices])
            self.read += len(ids) if index % asked.choices == 0 else 0
            choice = _Choice(served, index, asked.stops, len(ids), asked.top, loop, self._queue)
            choice.whole = not asked.stream
            self._choices.append(choice)
            self._jobs.append(
                Job(
                    ids, asked.tokens, choice.take, seed, index % asked.choices, asked.how,
                    scored=asked.top is not None,
                )
            )  # fmt: skip
        served.submit(self._jobs)

    async def pieces(self, seconds: float) -> AsyncIterator[Piece]:
        """Yield what is written, until all samples have ended or the time is up.

        Raises:
            CharRNNError: the model failed.
        """
        ended: set[int] = set()
        try:
            async with asyncio.timeout(seconds):
                async for piece in _until_done(self._queue, self.count):
                    if piece.finish:
                        ended.add(piece.number)
                    yield piece
        except TimeoutError:
            self.stop()
            for index in set(range(self.count)) - ended:
                yield self._choices[index].so_far("length")
        finally:
            self.stop()

    def stop(self) -> None:
        """Free the slots."""
        self._served.batcher.cancel(self._jobs)


class _Choice:
    """A sample, decoded in the batcher's thread.

    Arguments:
        skip: how many ids are read before the first that counts.
        top: how many of the likeliest to tell of; None for no log-probabilities.

    With `whole` set, all is kept back until the end: handing pieces over takes as long as writing.
    """

    def __init__(
        self,
        served: Served,
        index: int,
        stops: Sequence[str],
        skip: int,
        top: int | None,
        loop: asyncio.AbstractEventLoop,
        queue: "asyncio.Queue[Any]",
    ) -> None:
        self._alphabet, self._index, self._skip, self._top = served.model.alphabet, index, skip, top
        self._loop, self._queue = loop, queue
        self._sample = Sample(self._alphabet, stops)
        self._tops: deque[Likeliest] = deque()
        self.whole, self._parts = False, [Piece(index, "")]

    def so_far(self, finish: str | None) -> Piece:
        """Return what has been kept back, in one piece."""
        parts = self._parts[:]
        return joined(parts)._replace(finish=finish)

    def take(self, told: Told | CharRNNError | None) -> bool:
        """Take the next ids; return whether more is wanted."""
        if isinstance(told, CharRNNError):
            self._put(told)
            return False
        if told is None:
            empty = np.zeros(0, np.int32)
            self._tell(Told(empty, np.zeros(0), np.zeros(0)), "length")
            return False
        skipped, self._skip = min(self._skip, len(told.ids)), max(0, self._skip - len(told.ids))
        if skipped:
            told = Told(*(None if leaf is None else leaf[skipped:] for leaf in told))
        if not len(told.ids):
            return True
        return self._tell(told, None)

    def _tell(self, told: Told, finish: str | None) -> bool:
        drawn = Drawn(told.ids)
        if self._top is not None:
            drawn = Drawn(told.ids, told.model, told.sampler)
            if self._top and told.top_ids is not None and self._alphabet.kind != "bytes":
                self._tops.extend(map(self._likeliest, told.top_ids, told.top_log_p))
        written = self._sample.take(drawn, last=finish is not None)
        tops = [self._tops.popleft() for _ in written.characters if self._tops]
        if self._sample.ending.ended:
            finish = "stop"
        piece = Piece(self._index, *written, tuple(tops), finish)
        if self.whole:
            self._parts.append(piece)
            if finish:
                self._put(self.so_far(finish))
        elif written.text or finish:
            self._put(piece)
        return finish is None

    def _likeliest(self, ids: Any, log_p: Any) -> Likeliest:
        names = (self._alphabet.decode([id]) for id in ids[: self._top])
        return tuple(zip(names, map(float, log_p), strict=False))

    def _put(self, item: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:  # the loop has been closed
            return


async def _until_done(queue: "asyncio.Queue[Any]", count: int) -> AsyncIterator[Piece]:
    """Yield pieces until so many samples have ended."""
    while count:
        item = await queue.get()
        if isinstance(item, CharRNNError):
            raise item
        count -= item.finish is not None
        yield item


def _without_advice(error: UnknownSymbolError) -> str:
    """Return what is wrong, without the options of commands that would help."""
    return str(error).partition("; skip")[0]


def _created(model: Model) -> int:
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(str(model.table["created"])).timestamp())
    except (KeyError, ValueError):
        return 0
