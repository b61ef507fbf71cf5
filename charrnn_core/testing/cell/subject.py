"""A cell under test, and the ways to run it over a sequence."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import jax

from charrnn_core.arrays import Carry, Outputs, Params
from charrnn_core.cell import Cell, SequenceCell, as_cell
from charrnn_core.engine.unroll import unroll
from charrnn_core.network.calling import check_step, draw_params
from charrnn_core.registry.options import annotations
from charrnn_core.registry.spec import Ref
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.subject import Subject

STEPS, ROWS, INPUTS, WIDTH = 5, 3, 6, 8
"""Sizes, all distinct, so that a confusion of axes cannot go unseen."""


class CellSubject(Subject):
    """A cell under test.

    >>> CellSubject.of("cell", "elman").fresh.shape
    (3, 8)
    """

    def at_width(self, width: int) -> Ref:
        """Return its spec with this width, unless the spec sets one or has no width."""
        plugin = self.provider.component
        name = plugin.argument
        if name is None or self.ref.argument is not None or name in self.ref.options:
            return self.ref
        is_width = annotations(plugin.options)[name] is int
        return self.ref.with_options({name: width}) if is_width else self.ref

    def build(self, width: int = WIDTH) -> Cell:
        """Build the cell."""
        return self.registry.build_cell(self.at_width(width), as_cell)

    @cached_property
    def cell(self) -> Cell:
        """The cell, narrow."""
        return self.build()

    @cached_property
    def params(self) -> Params:
        """Its parameters, as it draws them."""
        return self.cell.init(jax.random.key(0), INPUTS)

    def try_out(self) -> None:
        """Draw parameters, begin a carry and take a step.

        Raises:
            PluginError: it cannot be done.
        """
        params = draw_params(self.cell, jax.random.key(0), INPUTS)
        check_step(self.cell, params, INPUTS)

    @cached_property
    def fresh(self) -> Carry:
        """The carry before the first step."""
        return self.cell.initial_carry(self.params, (ROWS, INPUTS))

    @cached_property
    def carry(self) -> Carry:
        """A carry in the middle of a text."""
        return self.scan(self.fresh, inputs(99))[0]

    def scan(self, carry: Carry, xs: jax.Array) -> tuple[Carry, Outputs]:
        """Run the reference: one step after the other, by a plain ``lax.scan``."""
        return self._compiled_scan(self.params, carry, xs)

    @cached_property
    def _compiled_scan(self) -> Callable[..., tuple[Carry, Outputs]]:
        return compiled(self.cell_scan)

    def cell_scan(self, params: Params, carry: Carry, xs: jax.Array) -> tuple[Carry, Outputs]:
        """Run `scan` as a function of the parameters too."""
        return unroll(self.cell.step, params, carry, xs, mode="scan")

    @cached_property
    def outputs(self) -> jax.Array:
        """The cell's outputs for a sequence, ``float[STEPS,ROWS,H]``."""
        return self.scan(self.carry, inputs(98))[1]

    def restart(self, params: Params) -> Carry:
        """Return the carry that a reset starts from."""
        return self.cell.initial_carry(params, (ROWS, INPUTS))

    @cached_property
    def ways(self) -> dict[str, Callable[[Any, jax.Array, Any], tuple[Carry, Outputs]]]:
        """The ways to run a sequence: ``way(carry, xs, reset) -> carry, ys``, compiled."""
        ways = {"the engine": self._by("auto"), "the engine's parallel scan": self._by("parallel")}
        if isinstance(self.cell, SequenceCell):
            ways["its sequence method"] = partial(compiled(self.cell.sequence), self.params)
        return ways

    def _by(self, mode: str) -> Callable[[Any, jax.Array, Any], tuple[Carry, Outputs]]:
        step, restart = self.cell.step, self.restart

        def way(params: Params, carry: Carry, xs: Any, reset: Any) -> tuple[Carry, Outputs]:
            return unroll(step, params, carry, xs, reset=reset, fresh=restart, mode=mode)

        return partial(compiled(way), self.params)


def inputs(seed: int, steps: int = STEPS, rows: int = ROWS) -> jax.Array:
    """Return random inputs ``float[steps,rows,INPUTS]``."""
    return jax.random.normal(jax.random.key(seed), (steps, rows, INPUTS))
