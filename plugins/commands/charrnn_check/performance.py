"""How fast a cell trains, beside the built-in Elman network and LSTM of as many parameters."""

import dataclasses
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import count_parameters
from charrnn_core.network.sizing import size_cell
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.terminal import aligned
from charrnn_core.testing.cell.subject import CellSubject
from charrnn_core.training.batches import Batch
from charrnn_core.training.update import Trainer

RIVALS = ("elman", "lstm")
"""The built-in cells that a cell is compared with."""

_WIDTH, _SYMBOLS, _STREAMS, _WINDOW, _UPDATES = 128, 90, 32, 64, 4
_SECONDS = 0.3
"""How long each cell is timed."""


@dataclass(frozen=True)
class Performance:
    """What one cell costs.

    Arguments:
        cell: its spec.
        parameters: of the whole network.
        characters_per_second: of training, whole updates, compilation not counted.
        peak_bytes: memory of an update beside its arguments and results.
    """

    cell: str
    parameters: int
    characters_per_second: float
    peak_bytes: int


def compare_performance(subject: CellSubject) -> Iterator[Performance]:
    """Time a cell and its rivals at the same number of parameters, in this process.

    The network reads one-hot characters of 90 symbols in 32 streams and windows of 64; the cell
    has 128 units if its spec leaves that open.

    Raises:
        OptionError: the cell has fewer parameters than the narrowest rival.
    """
    registry = subject.registry
    first = measure_performance(subject, subject.at_width(_WIDTH))
    yield first
    for rival in RIVALS:
        if rival == subject.ref.use:
            continue
        cell = RunConfig(cell=Ref(rival), embedding=0).resolve(registry).cell
        cell, _ = size_cell(cell, partial(_network, subject), first.parameters)
        yield measure_performance(subject, cell)


def measure_performance(subject: CellSubject, ref: Ref) -> Performance:
    """Train a cell, looked up where the subject was found, for a moment on random characters.

    >>> measure_performance(CellSubject.of("cell", "elman:8"), Ref.parse("elman:8")).parameters
    1602
    """
    network = _network(subject, ref)
    trainer = Trainer(network, _loss, lambda total: optax.adam(1e-3), _STREAMS, total_steps=1)
    state = trainer.init()
    program = trainer.compile(_UPDATES, _WINDOW)
    shape = (_UPDATES, _WINDOW, _STREAMS)
    inputs, targets = np.random.default_rng(0).integers(_SYMBOLS, size=(2, *shape), dtype=np.int32)
    batches = Batch(
        inputs, targets, np.zeros((_UPDATES, _STREAMS), bool), np.ones(shape, np.float32)
    )
    ends = time.perf_counter() + _SECONDS
    seconds = []
    while not seconds or time.perf_counter() < ends:
        started = time.perf_counter()
        jax.block_until_ready(program(state, batches, np.int32(_UPDATES), np.int32(1)))
        seconds.append(time.perf_counter() - started)
    return Performance(
        shown_spec(subject, ref),
        count_parameters(state.params),
        np.prod(shape) / statistics.median(seconds),
        program.temporary_bytes,
    )


def shown_spec(subject: CellSubject, ref: Ref) -> str:
    """Return a cell with its width, as a spec.

    >>> shown_spec(CellSubject.of("cell", "elman"), Ref("elman"))
    'elman:256'
    """
    argument = subject.registry.find("cell", ref.use).component.argument
    width = subject.registry.resolve("cell", ref).options.get(argument) if argument else None
    return f"{ref.use}:{width}" if isinstance(width, int | str) else ref.use


def _network(subject: CellSubject, ref: Ref) -> Network:
    return Network(subject.registry.build_cell(ref, as_cell), _SYMBOLS)


def _loss(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.sum(losses * weights) / jnp.sum(weights)


def performance_lines(rows: list[Performance]) -> list[str]:
    """Return the rows as a table.

    >>> performance_lines([Performance("elman:8", 1600, 2e6, 3 * 2**20)])[1]
    'elman:8  1,600       2,000,000     3.0 MiB'
    """
    head = ("cell", "parameters", "characters/s", "memory of an update")
    body = [
        (
            row.cell,
            f"{row.parameters:,}",
            f"{row.characters_per_second:,.0f}",
            f"{row.peak_bytes / 2**20:.1f} MiB",
        )
        for row in rows
    ]
    return aligned([head, *body])


def performance_table(rows: list[Performance]) -> list[dict[str, object]]:
    """Return the rows as plain data."""
    return [dataclasses.asdict(row) for row in rows]
