"""What is dropped around a cell while training."""

from dataclasses import dataclass
from functools import partial

import jax

from charrnn_core.arrays import Array, Key
from charrnn_core.noise import dropout


@dataclass(frozen=True)
class Dropouts:
    """Shares of what goes in and out of a cell that are dropped while training.

    Arguments:
        input: share of the elements of the cell's input.
        output: share of the elements of its output.
        context: share of the context's rows: each is dropped as a whole.
        variational: draw one mask per window, not one per character (Gal and Ghahramani 2016,
            arXiv 1512.05287); of input and output.
    """

    input: float = 0.0
    output: float = 0.0
    context: float = 0.0
    variational: bool = False

    def drop(self, key: Key, rate: float, xs: Array) -> Array:
        """Drop elements of ``xs: float[T,B,H]``, the same at every step if it is variational."""
        if self.variational:
            return jax.vmap(partial(dropout, key, rate))(xs)
        return dropout(key, rate, xs)

    def keep_rows(self, key: Key, rows: Array) -> Array:
        """Drop rows of a context, ``float[T,B,n-1,E]``, and scale the rest."""
        kept = jax.random.bernoulli(key, 1 - self.context, rows.shape[:-1])
        return rows * (kept / (1 - self.context))[..., None]
