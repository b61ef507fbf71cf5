"""Settings that a run leaves to its text and to the machine, and those without effect there."""

import dataclasses
import os
from collections.abc import Callable, Mapping

import jax

from charrnn_core.devices import cores_to_use
from charrnn_core.errors import OptionError
from charrnn_core.network.context import fitting_bits
from charrnn_core.network.mesh import fitting_shards
from charrnn_core.network.network import Network
from charrnn_core.runs.config import RunConfig
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.mapped import occurs
from charrnn_core.text.split import Piece, count_characters
from charrnn_core.training.batches import fit_geometry


def with_documents(config: RunConfig, corpus: Corpus, notes: list[str]) -> RunConfig:
    """Return the run with `documents` set by its source, unless the run sets it."""
    if config.documents is not None or corpus.documents is None:
        return config
    notes.append(f"documents is {corpus.documents!r}, because {corpus.name} consists of documents")
    return dataclasses.replace(config, documents=corpus.documents)


def with_context_rows(config: RunConfig, corpus: Corpus) -> RunConfig:
    """Return the run with as many rows of the context as suit its text, unless it sets them."""
    bits = config.context_bits or fitting_bits(corpus.characters)
    return dataclasses.replace(config, context_bits=bits)


def with_fitting_geometry(config: RunConfig, length: int, unit: str, notes: list[str]) -> RunConfig:
    """Return the run with a batch and window that fit the text and the devices."""
    wanted = 1 if config.batching == "subsequences" else config.batch
    batch, window = fit_geometry(length, wanted, config.window, unit)
    for name, asked, used in (("batch", config.batch, batch), ("window", config.window, window)):
        if used != asked:
            why = f"the training text has {length} {unit}s"
            if name == "batch" and config.batching == "subsequences":
                why = "subsequences are read one at a time"
            notes.append(f"{name} is {used} instead of {asked}: {why}")
    processes = jax.process_count()
    shards = config.shards or fitting_shards(batch, len(jax.devices()), processes)
    if batch % shards:
        raise OptionError(
            f"shards is {shards}; expected a number that divides the batch of {batch} streams"
        )
    if shards % processes:
        raise OptionError(
            f"shards is {shards}; expected a multiple of {processes}, the number of processes, "
            f"that divides the batch of {batch} streams: set --batch to a multiple of both"
        )
    return dataclasses.replace(config, batch=batch, window=window, shards=shards)


def note_what_has_no_effect(
    config: RunConfig, held_out: list[Piece], network: Network, train_ids: Ids, notes: list[str]
) -> None:
    """Append a note for every setting that has no effect on this text."""
    if config.patience and not count_characters(held_out):
        notes.append(f"patience has no effect: split {config.split!r} holds nothing out")
    if network.separator and not occurs(network.separator, train_ids):
        notes.append(
            f"documents is {config.documents!r}, but no document ends in the training text"
        )


def note_fewer_devices(
    config: RunConfig, note: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> None:
    """Say so if the command line would split the streams over more devices, since it asks jax to.

    Arguments:
        config: the resolved configuration.
        note: takes the line.
        environ: where a number of devices may be asked for.
    """
    if config.shards is not None or "JAX_NUM_CPU_DEVICES" in environ:
        return
    here = fitting_shards(config.batch, len(jax.devices()))
    there = fitting_shards(config.batch, cores_to_use())
    if jax.default_backend() == "cpu" and here < there:
        note(
            f"note: shards is {here}, where the command line would use {there} cores; to do so, "
            f"set JAX_NUM_CPU_DEVICES={there} in the environment before jax is imported"
        )
