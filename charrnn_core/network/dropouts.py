"""What is dropped around a cell while training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Carry, Inputs, Key, Outputs, Params, Tree
from charrnn_core.cell import Cell
from charrnn_core.engine.trace import Step
from charrnn_core.network.calling import training_step
from charrnn_core.noise import Noise, dropout, random_shares

_LEAST_SHARE = 0.1
"""Rows that are kept more rarely are scaled as if they were kept so often."""

CELL, INPUT, OUTPUT, CONTEXT = range(4)
"""The parts of a network that draw random numbers while training."""


@dataclass(frozen=True)
class Dropouts:
    """Shares of what goes in and out of a cell that are dropped while training.

    Arguments:
        input: share of the elements of the cell's input.
        output: share of the elements of its output.
        context: share of the context's rows: each is dropped as a whole.
        rare: a row that the training text reads c times is dropped with a probability of this over
            c, besides.
        variational: draw one mask per window, not one per character (Gal and Ghahramani 2016,
            arXiv 1512.05287); of input and output.
    """

    input: float = 0.0
    output: float = 0.0
    context: float = 0.0
    rare: float = 0.0
    variational: bool = False

    @property
    def of_rows(self) -> bool:
        """Whether rows of a context are dropped."""
        return bool(self.context or self.rare)

    def drop(self, key: Key, rate: float, xs: Array) -> Array:
        """Drop elements of ``xs: float[T,B,H]``, the same at every step if it is variational."""
        if self.variational:
            return jax.vmap(partial(dropout, key, rate))(xs)
        return dropout(key, rate, xs, streams=1)

    def keep_rows(self, key: Key, rows: Array, readings: Array | None) -> Array:
        """Drop rows of a context, and scale the rest so that the mean stays, but at most by ten.

        A row that is read once in a text can only tell what comes there: training learns it by
        heart, and no other text ever reads it. One that is read often tells what is common.

        Arguments:
            rows: ``float[T,B,n-1,E]``.
            readings: ``float[T,B,n-1]``, how often the training text reads each; only needed to
                drop rare ones.

        Raises:
            ValueError: they are needed and not given.
        """
        share: Array = jnp.float32(1 - self.context)
        if self.rare:
            if readings is None:
                raise ValueError(
                    f"rare is {self.rare:g}, so how often the training text reads each row has to "
                    "be known; pass lookup=Lookup(places, readings)"
                )
            share = share * jnp.maximum(1 - self.rare / readings, 0)
        kept = random_shares(key, rows.shape[:-1], streams=1) < share
        scale = jnp.where(kept, 1 / jnp.maximum(share, _LEAST_SHARE), 0)
        return rows * scale.astype(rows.dtype)[..., None]


def noisy_step(
    cell: Cell, dropouts: Dropouts, embed: Callable[[Params, Tree], Inputs], window: Array
) -> Step:
    """Return a cell's step while training, of what is read and the bits of the step's key.

    Arguments:
        embed: what the cell's input is made with, of the parameters and what is read.
        window: the bits of the key that all steps share.
    """

    def read(params: Params, carry: Carry, item_and_bits: Tree) -> tuple[Carry, Outputs]:
        item, bits = item_and_bits
        noise = Noise(bits, window)
        x = embed(params, item)
        if dropouts.input:
            of_input = noise.fold_in(INPUT).keys()
            which = "window" if dropouts.variational else "step"
            x = dropout(of_input[which], dropouts.input, x)
            noise = noise.fold_in(CELL)  # a cell may draw from parts of the same numbers
        return training_step(cell, params["cell"], carry, x, noise)

    return read


def key_bits(key: Key, steps: int) -> tuple[Array, Array]:
    """Return the bits of the keys that a cell draws from: one for each step, one for the window."""
    step_key, window_key = jax.random.split(jax.random.fold_in(key, CELL))
    return jax.random.key_data(jax.random.split(step_key, steps)), jax.random.key_data(window_key)
