"""The stacked cell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from charrnn_core import Cell
from charrnn_core.network.calling import (
    begin,
    check_step,
    draw_params,
    output_width,
    take_step,
    training_step,
)
from charrnn_core.noise import Noise, dropout


@dataclass(frozen=True)
class StackedCell:
    """``y_0 = x;  h_i', y_i = cell_i(h_i, y_{i-1})``; the output is that of the last layer.

    Arguments:
        layers: finished cells, first to last.
        residual: use ``y_i = y_{i-1} + cell_i(...)`` wherever the two have the same shape.
        dropout: the share of a layer's output dropped before the next layer in training (Zaremba,
            Sutskever and Vinyals 2014, arXiv 1409.2329).
        variational: draw one of these masks per window, not one per step (Gal and Ghahramani 2016,
            arXiv 1512.05287).

    The carry is a tuple with one entry per layer, the parameters a dict ``{"layer_0": ...}``.

    Source: Graves, Generating Sequences With Recurrent Neural Networks, 2013, arXiv 1308.0850,
    without its skip connections from the input to every layer.

    Raises:
        ValueError: there are no layers.
    """

    layers: tuple[Cell, ...]
    residual: bool = False
    dropout: float = 0.0
    variational: bool = False

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a stack needs at least one layer, such as stacked:elman:128*2")

    def init(self, key: jax.Array, in_features: int) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for i, cell in enumerate(self.layers):
            params[_layer(i)] = draw_params(cell, jax.random.fold_in(key, i), in_features)
            in_features = check_step(cell, params[_layer(i)], in_features)
        return params

    def initial_carry(self, params: Any, input_shape: tuple[int, int]) -> tuple[Any, ...]:
        batch, in_features = input_shape
        carry = []
        for i, cell in enumerate(self.layers):
            carry.append(begin(cell, params[_layer(i)], (batch, in_features)))
            in_features = output_width(cell, params[_layer(i)], in_features)
        return tuple(carry)

    def step(
        self, params: Any, carry: tuple[Any, ...], x: jax.Array
    ) -> tuple[tuple[Any, ...], jax.Array]:
        return self._through(params, carry, x, lambda i, cell, *args: take_step(cell, *args))

    def noisy_step(
        self, params: Any, carry: tuple[Any, ...], x: jax.Array, noise: Noise
    ) -> tuple[tuple[Any, ...], jax.Array]:
        which = "window" if self.variational else "step"

        def step(i: int, cell: Cell, params: Any, h: Any, x: jax.Array) -> tuple[Any, jax.Array]:
            own = noise.fold_in(i)
            if i and self.dropout:
                x = dropout(own.keys()[which], self.dropout, x)
            return training_step(cell, params, h, x, own.fold_in(0))

        return self._through(params, carry, x, step)

    def _through(
        self, params: Any, carry: tuple[Any, ...], x: jax.Array, step: Callable[..., Any]
    ) -> tuple[tuple[Any, ...], jax.Array]:
        """Take a step through all layers, with ``step(i, cell, params, h, x)`` for each."""
        after = []
        for i, (cell, h) in enumerate(zip(self.layers, carry, strict=True)):
            h, y = step(i, cell, params[_layer(i)], h, x)
            after.append(h)
            x = x + y if self.residual and x.shape == y.shape else y
        return tuple(after), x


def _layer(i: int) -> str:
    return f"layer_{i}"
