"""The network around a cell: input layer -> cell -> readout."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from charrnn_core.cell import Carry, Cell, Params
from charrnn_core.errors import PluginError
from charrnn_core.products import rows_times
from charrnn_core.stepper import prepare_step
from charrnn_core.unroll import Choice, choose, unroll


@dataclass(frozen=True)
class Network:
    """Ids to logits: ``x = onehot(id)`` or ``E[id]``; ``h, y = cell(h, x)``; ``o = y R + c``.

    Arguments:
        cell: any recurrent cell.
        symbols: V, the size of the alphabet.
        embedding: width of the embedding E; 0 feeds one-hot characters.
        unroll_mode: ``"engine"``, ``"scan"`` or ``"auto"``, see `charrnn_core.unroll.unroll`.

    Parameters are ``{"cell": ..., "readout": {"kernel": [H,V], "bias": [V]}}`` and, with an
    embedding, ``"embedding": [V,embedding]``.

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
    unroll_mode: str = "auto"

    @property
    def in_features(self) -> int:
        """The width of the cell's input."""
        return self.embedding or self.symbols

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: the readout Glorot-uniform, the embedding normal with deviation 1."""
        cell_key, readout_key, embedding_key = jax.random.split(key, 3)
        cell = self.cell.init(cell_key, self.in_features)
        H = self._width(cell)
        kernel = initializers.glorot_uniform()(readout_key, (H, self.symbols))
        params = {"cell": cell, "readout": {"kernel": kernel, "bias": jnp.zeros(self.symbols)}}
        if self.embedding:
            shape = (self.symbols, self.embedding)
            params["embedding"] = jax.random.normal(embedding_key, shape)
        return params

    def _width(self, cell_params: Params) -> int:
        """H, the width of the cell's output; also checks what a step gives back."""
        x = jax.ShapeDtypeStruct((2, self.in_features), jnp.float32)
        carry = jax.eval_shape(lambda p: self.cell.initial_carry(p, x.shape), cell_params)
        after, y = jax.eval_shape(self.cell.step, cell_params, carry, x)

        def signature(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree)

        if signature(after) != signature(carry):
            raise PluginError(
                f"the cell's step turns a carry {signature(carry)} into {signature(after)}; "
                "a step must keep the carry's structure, shapes and dtypes"
            )
        if y.ndim != 2 or y.shape[0] != 2:
            raise PluginError(f"the cell's output has shape {y.shape}; expected (B, H) with B = 2")
        return y.shape[1]

    def initial_carry(self, params: Params, batch: int) -> Carry:
        """The carry before the first character, for `batch` streams."""
        return self.cell.initial_carry(params["cell"], (batch, self.in_features))

    def unroll(
        self, params: Params, carry: Carry, inputs: jax.Array, reset: jax.Array | None = None
    ) -> tuple[jax.Array, Carry]:
        """Read ``inputs: int32[T,B]``; give ``logits: float32[T,B,V]`` and the carry after them.

        `reset`, bool[T,B], starts a row afresh before that character.
        """

        carry, ys = unroll(
            self._read,
            params,
            carry,
            inputs,
            reset=reset,
            fresh=lambda params: self.initial_carry(params, inputs.shape[1]),
            symbols=self.symbols,
            mode=self.unroll_mode,
        )
        return self._read_out(params, ys), carry

    def choose(self, batch: int, window: int) -> Choice:
        """How `unroll` gets over the windows of training, ``int32[window,batch]``, and why."""
        params = jax.eval_shape(self.init, jax.random.key(0))
        carry = jax.eval_shape(lambda params: self.initial_carry(params, batch), params)
        return choose(
            self._read,
            params,
            carry,
            jax.ShapeDtypeStruct((window, batch), jnp.int32),
            reset=jax.ShapeDtypeStruct((window, batch), jnp.bool_),
            fresh=lambda params: self.initial_carry(params, batch),
            symbols=self.symbols,
            mode=self.unroll_mode,
        )

    def step(self, params: Params, carry: Carry, ids: jax.Array) -> tuple[jax.Array, Carry]:
        """Read one character of every stream, ``ids: int32[B]``; give ``logits: float32[B,V]``."""
        carry, y = self._read(params, carry, ids)
        return self._read_out(params, y), carry

    def stepper(
        self, params: Params, carry: Carry, batch: int
    ) -> Callable[[Carry, jax.Array], tuple[jax.Array, Carry]]:
        """`step` as a function of ``carry, ids``, for many steps with the same parameters."""
        if self.unroll_mode == "scan":
            return partial(self.step, params)
        ids = jax.ShapeDtypeStruct((batch,), jnp.int32)
        read = prepare_step(self._read, params, carry, ids, self.symbols)

        def step(carry: Carry, ids: jax.Array) -> tuple[jax.Array, Carry]:
            carry, y = read(carry, ids)
            return self._read_out(params, y), carry

        return step

    def _read(self, params: Params, carry: Carry, ids: jax.Array) -> tuple[Carry, jax.Array]:
        return self.cell.step(params["cell"], carry, self._embed(params, ids))

    def _embed(self, params: Params, ids: jax.Array) -> jax.Array:
        return params["embedding"][ids] if self.embedding else jax.nn.one_hot(ids, self.symbols)

    def _read_out(self, params: Params, ys: jax.Array) -> jax.Array:
        product: Any = rows_times(ys, params["readout"]["kernel"])
        logits = product.astype(jnp.float32)
        return logits + jnp.broadcast_to(params["readout"]["bias"], logits.shape)
