"""The network around a cell: input layer -> cell -> readout."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import initializers

from charrnn_core.arrays import (
    Array,
    Carry,
    Ids,
    Inputs,
    Key,
    Logits,
    Outputs,
    Params,
    Reset,
    Tree,
)
from charrnn_core.cell import Cell, NoisyCell, SequenceCell
from charrnn_core.engine.products import rows_times
from charrnn_core.engine.stepper import prepare_step
from charrnn_core.engine.trace import Step
from charrnn_core.engine.unroll import Choice, choose, restart, unroll
from charrnn_core.errors import OptionError
from charrnn_core.network.calling import (
    begin,
    check_step,
    draw_params,
    own_sequence,
    take_step,
)
from charrnn_core.network.context import TABLE, Context
from charrnn_core.network.counts import COUNTS, Counts, Table
from charrnn_core.network.documents import Documents
from charrnn_core.network.dropouts import CONTEXT, INPUT, OUTPUT, Dropouts, key_bits, noisy_step
from charrnn_core.network.reading import Lookup, Reading
from charrnn_core.public import public


@public
@dataclass(frozen=True)
class Network:
    """Turns ids into logits: ``x = onehot(id)`` or ``E[id]; h, y = cell(h, x); o = y R + c``.

    With a context of n characters, ``x += s sum_k C[row_k(the last k ids)]`` with k from 2
    to n and s = 40 / sqrt(width of x). With counts, o is mixed with what they say.

    Arguments:
        cell: any recurrent cell.
        symbols: V, the size of the alphabet.
        embedding: width of the embedding E; 0 feeds one-hot characters.
        tied: read out with the embedding: ``R = P E^T``, with a projection P (Press and Wolf 2017,
            arXiv 1608.05859; Inan et al. 2017, arXiv 1611.01462).
        dropouts: what is dropped while training.
        separator: the ids that end a document, see `charrnn_core.network.documents`.
        context: how the rows of C are found, see `charrnn_core.network.context`.
        counts: how those of a table of counts are, see `charrnn_core.network.counts`.
        unroll_mode: ``"engine"``, ``"scan"`` or ``"auto"``, see `charrnn_core.engine.unroll`.

    Parameters are ``{"cell": ..., "readout": {"kernel": [H,V], "bias": [V]}}`` and, with an
    embedding, ``"embedding": [V,embedding]``; tied, the kernel is P, ``[H,embedding]``. With a
    context, C is ``"context": [rows,width of x]``. A table of counts is not drawn: it is added as
    ``"counts"`` where a network is used, and without it o is the network's alone.

    Raises:
        OptionError: there is no embedding to tie the readout to.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> params = network.init(jax.random.key(0))
    >>> carry = network.initial_carry(params, 2)
    >>> logits, carry = network.unroll(params, carry, jnp.zeros((3, 2), jnp.int32))
    >>> logits.shape
    (3, 2, 6)
    """

    cell: Cell
    symbols: int
    embedding: int = 0
    tied: bool = False
    dropouts: Dropouts = Dropouts()
    separator: tuple[int, ...] = ()
    context: Context = Context()
    counts: Counts = Counts()
    unroll_mode: str = "auto"

    def __post_init__(self) -> None:
        if self.tied and not self.embedding:
            raise OptionError(
                "a tied readout needs an embedding, and embedding is 0; expected a width such as "
                "--embedding 64"
            )

    @property
    def in_features(self) -> int:
        """Return the width of the cell's input."""
        return self.embedding or self.symbols

    @property
    def reading(self) -> Reading:
        """Return what is found in ids alone."""
        return Reading(Documents(self.separator), self.context, self.counts)

    def init(self, key: Key) -> Params:
        """Draw parameters: the readout Glorot-uniform, the embedding normal, the context zero.

        The embedding's deviation is 1; tied, it is ``embedding ** -0.5``, so that logits start
        small.
        """
        cell_key, readout_key, embedding_key = jax.random.split(key, 3)
        cell = draw_params(self.cell, cell_key, self.in_features)
        width = check_step(self.cell, cell, self.in_features)
        shape = (width, self.embedding if self.tied else self.symbols)
        kernel = initializers.glorot_uniform()(readout_key, shape)
        params = {"cell": cell, "readout": {"kernel": kernel, "bias": jnp.zeros(self.symbols)}}
        if self.embedding:
            scale = self.embedding**-0.5 if self.tied else 1.0
            embedding = jax.random.normal(embedding_key, (self.symbols, self.embedding))
            params["embedding"] = scale * embedding
        if self.context.rows:
            params[TABLE] = jnp.zeros((self.context.rows, self.in_features))
        return params

    @cached_property
    def compiled_init(self) -> Callable[[Key], Params]:
        """Return `init` as a compiled function, which is traced once however often it is used."""
        return jax.jit(self.init)

    @cached_property
    def shapes(self) -> Params:
        """Return the shapes of the parameters, without drawing them."""
        return jax.eval_shape(self.compiled_init, jax.eval_shape(lambda: jax.random.key(0)))

    def initial_carry(self, params: Params, batch: int) -> Carry:
        """Return the carry before the first character, for `batch` streams."""
        return self.reading.begin(self._fresh(params, batch), batch)

    def rows_read(self, carry: Carry, inputs: Ids) -> Array | None:
        """Return the rows of C that a window reads, ``int32[T,B,n-1]``; None without a context."""
        return self.reading.find(carry, inputs, None).rows

    def unroll(
        self,
        params: Params,
        carry: Carry,
        inputs: Ids,
        reset: Reset | None = None,
        key: Key | None = None,
        lookup: Lookup | None = None,
    ) -> tuple[Logits, Carry]:
        """Read ``inputs: int32[T,B]``; return ``float32[T,B,V]`` and the carry after them.

        Arguments:
            reset: bool[T,B]; starts a row afresh before that character.
            key: of all that is random while training; None when the network is only used.
            lookup: where ``params["context"]`` has each of `rows_read`, if it is a part of C.
        """
        carry, reset, rows, hashes, tails = self.reading.find(carry, inputs, reset)
        if lookup is None and rows is not None:
            lookup = Lookup(rows)
        xs = self.what_is_read(params, inputs, lookup, key)
        if self._has_own_sequence(training=key is not None):
            carry, ys = self._own_sequence(params, carry, xs, reset, key)
        else:
            step = self._read
            if key is not None and self._draws:
                step, xs = self._noisy(key, xs)
            carry, ys = unroll(
                step,
                params,
                carry,
                xs,
                reset=reset,
                fresh=lambda params: self._fresh(params, inputs.shape[1]),
                symbols=self.symbols,
                mode=self.unroll_mode,
            )
        if key is not None and self.dropouts.output:
            ys = self.dropouts.drop(jax.random.fold_in(key, OUTPUT), self.dropouts.output, ys)
        logits = self.counts.mixed(self.read_out(params, ys), params.get(COUNTS), inputs, hashes)
        return logits, self.reading.join(carry, tails)

    def mixed(self, table: Table | None, carry: Carry, inputs: Ids, logits: Logits) -> Logits:
        """Return what `unroll` has returned without counts as it is with those of a table."""
        return self.counts.mixed(
            logits, table, inputs, self.reading.find(carry, inputs, None).hashes
        )

    def choose(self, batch: int, window: int) -> Choice:
        """Say how `unroll` gets over the windows of training, ``int32[window,batch]``, and why."""
        if self._has_own_sequence(training=True):
            return Choice(False, "the cell has one", (), own=True)
        carry = jax.eval_shape(lambda params: self._fresh(params, batch), self.shapes)
        step, xs = self._read, self._shape_of_what_is_read(window, batch)
        if self._draws:
            bits, of_window = jax.eval_shape(lambda: key_bits(jax.random.key(0), window))
            zeros: Any = np.zeros(of_window.shape, of_window.dtype)
            step, xs = self._noisy_step(zeros), (xs, bits)
        return choose(
            step,
            self.shapes,
            carry,
            xs,
            reset=jax.ShapeDtypeStruct((window, batch), jnp.bool_) if self.separator else None,
            fresh=lambda params: self._fresh(params, batch),
            symbols=self.symbols,
            mode=self.unroll_mode,
        )

    def settled(self, batch: int, window: int) -> tuple["Network", Choice]:
        """Return the network to train and its choice: a plain scan if the engine fails on the cell.

        `unroll` alone cannot find that out: the gradient is made after it has done its part.
        """
        choice = self.choose(batch, window)
        return (replace(self, unroll_mode="scan") if choice.failed else self), choice

    def step(self, params: Params, carry: Carry, ids: Ids) -> tuple[Logits, Carry]:
        """Read one character of every stream, ``int32[B]``; return ``float32[B,V]``, the carry."""
        logits, carry = self.unroll(params, carry, ids[None])
        return logits[0], carry

    def stepper(
        self, params: Params, carry: Carry, batch: int
    ) -> Callable[[Carry, Ids], tuple[Logits, Carry]]:
        """Return `step` as a function of ``carry, ids``, for many steps of the same parameters."""
        if self.unroll_mode == "scan":
            return partial(self.step, params)
        fresh, cell_carry = self._fresh(params, batch), self.reading.cell_carry(carry)
        x, forced = self._shape_of_what_is_read(batch), self.unroll_mode == "engine"
        read = prepare_step(self._read, params, cell_carry, x, self.symbols, forced)

        def step(carry: Carry, ids: Ids) -> tuple[Logits, Carry]:
            carry, begins, rows, hashes, tails = self.reading.find(carry, ids[None], None)
            if begins is not None:
                carry = restart(begins[0], carry, fresh)
            lookup = None if rows is None else Lookup(rows[0])
            carry, y = read(carry, self.what_is_read(params, ids, lookup))
            logits, table = self.read_out(params, y)[None], params.get(COUNTS)
            logits = self.counts.mixed(logits, table, ids[None], hashes)[0]
            return logits, self.reading.join(carry, tails)

        return step

    def _fresh(self, params: Params, batch: int) -> Carry:
        return begin(self.cell, params["cell"], (batch, self.in_features))

    def what_is_read(
        self, params: Params, ids: Ids, lookup: Lookup | None, key: Key | None = None
    ) -> Tree:
        """Return what a step reads: ids, and with a context the sum of its rows."""
        if lookup is None:
            return ids
        looked_up = params[TABLE][lookup.places]
        if key is not None and self.dropouts.of_rows:
            of_context = jax.random.fold_in(key, CONTEXT)
            looked_up = self.dropouts.keep_rows(of_context, looked_up, lookup.readings)
        return ids, self.context.add_up(looked_up)

    def _shape_of_what_is_read(self, *shape: int) -> Tree:
        ids = jax.ShapeDtypeStruct(shape, jnp.int32)
        if not self.context.tables:
            return ids
        return ids, jax.ShapeDtypeStruct((*shape, self.in_features), jnp.float32)

    def _read(self, params: Params, carry: Carry, item: Tree) -> tuple[Carry, Outputs]:
        return take_step(self.cell, params["cell"], carry, self.embed(params, item))

    @property
    def _draws(self) -> bool:
        """Return whether a step draws random numbers while training."""
        return bool(self.dropouts.input) or isinstance(self.cell, NoisyCell)

    def _noisy(self, key: Key, xs: Tree) -> tuple[Step, Tree]:
        """Return `_read` while training, and what it reads: also the bits of each step's key."""
        bits, window = key_bits(key, jax.tree.leaves(xs)[0].shape[0])
        return self._noisy_step(window), (xs, bits)

    def _noisy_step(self, window: Array) -> Step:
        return noisy_step(self.cell, self.dropouts, self.embed, window)

    def _has_own_sequence(self, training: bool) -> bool:
        if self.unroll_mode not in ("auto", "parallel") or not isinstance(self.cell, SequenceCell):
            return False
        return not (training and isinstance(self.cell, NoisyCell))

    def _own_sequence(
        self, params: Params, carry: Carry, items: Tree, reset: Reset | None, key: Key | None
    ) -> tuple[Carry, Outputs]:
        """Unroll by the cell's own sequence."""
        assert isinstance(self.cell, SequenceCell)
        if reset is None:
            reset = jnp.zeros(jax.tree.leaves(items)[0].shape, bool)
        xs, rate = self.embed(params, items), self.dropouts.input
        if key is not None and rate:
            xs = self.dropouts.drop(jax.random.fold_in(key, INPUT), rate, xs)
        return own_sequence(self.cell, params["cell"], carry, xs, reset)

    def embed(self, params: Params, item: Tree) -> Inputs:
        """Return x from what a step, or a sequence, reads."""
        ids, added = item if self.context.tables else (item, None)
        x = params["embedding"][ids] if self.embedding else jax.nn.one_hot(ids, self.symbols)
        return x if added is None else x + added

    def read_out(self, params: Params, ys: Outputs) -> Logits:
        """Return o from the outputs of steps: the logits, without what counts say."""
        product: Array = rows_times(ys, params["readout"]["kernel"])
        if self.tied:
            product = rows_times(product, params["embedding"].T)
        logits = product.astype(jnp.float32)
        return logits + jnp.broadcast_to(params["readout"]["bias"], logits.shape)
