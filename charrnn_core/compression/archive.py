"""From bytes to compressed bytes and back: the whole way, checked at its end."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn_core.compression.blocks import Progress, count_blocks, decoded, encoded
from charrnn_core.compression.container import (
    MOST_BYTES,
    Header,
    Reader,
    block_section,
    digest,
    section,
)
from charrnn_core.compression.escapes import Split, join, split
from charrnn_core.compression.identity import model_digest, surroundings
from charrnn_core.compression.learner import Learner
from charrnn_core.compression.predictor import ModelPredictor, Predictor
from charrnn_core.compression.streams import Streams
from charrnn_core.errors import CompressionError, expect
from charrnn_core.public import public
from charrnn_core.runs.compiled import keep_programs
from charrnn_core.runs.model import Model
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.text.alphabet import Alphabet, ByteAlphabet


@dataclass(frozen=True)
class _Method:
    """What bytes are coded with.

    Arguments:
        digest: says which; empty if nothing but charrnn is needed.
        alphabet: the symbols that are predicted.
        streams: cuts a text of so many symbols.
        predictor: makes what predicts the streams.
    """

    digest: bytes
    alphabet: Alphabet
    streams: Callable[[int], Streams]
    predictor: Callable[[Streams], Predictor]


@public
def compress(
    data: bytes,
    model: Model | None,
    *,
    verify: bool = True,
    progress: Progress = lambda share: None,
) -> bytes:
    """Return bytes compressed with what a model predicts; `decompress` is the inverse.

    The code of a text is about as long as the model says:

        bits = - sum_t log2 p(x_t | x_1 .. x_{t-1})

    Where it is not shorter than the bytes, these are stored as they are. Without a model, a network
    and counts learn from the bytes while these are coded.

    Arguments:
        data: any bytes, at most `MOST_BYTES`.
        model: from `load` or `train`, which is needed to decompress; None for none.
        verify: decompress what was written, and compare.
        progress: called with the share that is done, from 0 to 1.

    Raises:
        CompressionError: there are too many bytes, the alphabet is too large, or verifying failed.

    Example::

        smaller = compress(b"Ho ho ho.", load("runs/santa"))
    """
    expect("data", data, bytes, "bytes")
    if len(data) > MOST_BYTES:
        raise CompressionError(
            f"there are {len(data):,} bytes to compress; expected at most {MOST_BYTES:,}: cut the "
            "file into parts"
        )
    method = _with(model)
    parts = split(data, method.alphabet)
    streams, part = method.streams(len(parts.ids)), 1 / (1 + verify)
    predictor = method.predictor(streams)
    sections = [section(parts.rest)] if parts.rest else []
    blocks = encoded(predictor, streams, parts.ids, lambda share: progress(part * share))
    sections += map(block_section, blocks)
    header = Header(
        length=len(data),
        digest=digest(data),
        model=method.digest,
        surroundings=surroundings(),
        symbols=len(parts.ids),
        streams=streams.count,
        has_rest=bool(parts.rest),
    )
    written = b"".join([header.packed(), *sections])
    stored = b"".join([header.of_stored().packed(), section(data)])
    if len(stored) <= len(written):
        return stored
    if verify:
        again = decompress(written, model, progress=lambda share: progress(part * (1 + share)))
        if again != data:
            raise CompressionError("decompressing gave other bytes than were compressed")
    return written


@public
def decompress(
    data: bytes,
    model: Model | None,
    *,
    name: str = "the compressed data",
    anyway: bool = False,
    progress: Progress = lambda share: None,
) -> bytes:
    """Return the bytes that `compress` was given.

    Arguments:
        data: what it returned.
        model: the model that it was given, or None.
        name: what messages call the data.
        anyway: try even if it was compressed by other versions, or on another kind of machine.
        progress: as for `compress`.

    Raises:
        CompressionError: the data are damaged, or another model, machine or version of jax wrote
            them; whatever the reason, other bytes than the original are never returned.
    """
    expect("data", data, bytes, "bytes")
    reader = Reader(data, name)
    header, method = reader.header(), _with(model)
    _check_method(header, method, name)
    if not anyway and not header.stored:
        _check_surroundings(header, name)
    original = _read(reader, header, method, progress)
    reader.end()
    if len(original) != header.length or digest(original) != header.digest:
        raise CompressionError(f"{name} gave other bytes than were compressed; they are not kept")
    return original


def _read(reader: Reader, header: Header, method: _Method, progress: Progress) -> bytes:
    if header.stored:
        return reader.section()
    rest = reader.section() if header.has_rest else b""
    streams = Streams(header.streams, header.symbols)
    predictor = method.predictor(streams)
    ids = np.zeros(header.symbols, method.alphabet.dtype)
    blocks = reader.blocks(count_blocks(predictor, streams), streams.count)
    decoded(predictor, streams, blocks, ids, progress)
    return join(Split(ids, rest), method.alphabet, header.length)


def _check_method(header: Header, method: _Method, name: str) -> None:
    if method.digest and not header.model:
        raise CompressionError(f"{name} was compressed without a run; leave the run out")
    if header.model and not method.digest:
        raise CompressionError(
            f"{name} was compressed with the model {header.model.hex()}; give its run, --with RUN"
        )
    if header.model != method.digest:
        raise CompressionError(
            f"{name} was compressed with another model, {header.model.hex()}, and this one is "
            f"{method.digest.hex()}; give the run that it was compressed with"
        )


def _check_surroundings(header: Header, name: str) -> None:
    here = surroundings()
    for key, then in header.surroundings.items():
        if here.get(key) != then:
            what = "on a machine of the kind" if key == "machine" else f"by {key}"
            raise CompressionError(
                f"{name} was compressed {what} {then}, and here it is {here.get(key)}, which may "
                "round differently; decompress it there, or try: decompress --anyway"
            )


@functools.lru_cache(maxsize=1)
def _learner(streams: Streams) -> Learner:
    """Return the learner of the last such streams, which is compiled, or a new one."""
    return Learner(streams)


def _with(model: Model | None) -> _Method:
    if model is None:
        keep_programs()
        return _Method(b"", ByteAlphabet(), Learner.streams, _learner)
    expect("model", model, Model, "a Model, from load or train, or None")
    network = model.network
    first = encode_prompt(model.alphabet, "", separator=network.separator)

    def predictor(streams: Streams) -> Predictor:
        return model.programs.get(
            ("compress", streams.count),
            lambda: ModelPredictor(network, model.params, int(first[0]), streams.count),
        )

    return _Method(model_digest(model), model.alphabet, ModelPredictor.streams, predictor)
