"""A cell's functions as the core calls them: an author's mistake is reported in one line."""

from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Carry, Inputs, Key, Outputs, Params, Reset, Tree
from charrnn_core.blame import Call, a_pair, outlined
from charrnn_core.cell import CARRY_MUST, STEP_MUST, Cell, NoisyCell, SequenceCell
from charrnn_core.network.pytree import form
from charrnn_core.noise import Noise

_ROWS = 2

_INIT_MUST = "init(key, in_features) must return the parameters, a pytree of arrays"
_SEQUENCE_MUST = "a sequence must return (carry, outputs), outputs of shape [T,B,H]"


def draw_params(cell: Cell, key: Key, in_features: int) -> Params:
    """Draw a cell's parameters.

    Raises:
        PluginError: the author's code fails; the message begins with its file and line.
    """
    with _call(cell, "init", _INIT_MUST):
        return cell.init(key, in_features)


def begin(cell: Cell, params: Params, input_shape: tuple[int, int]) -> Carry:
    """Return the carry before the first step, for inputs of shape ``(B, in_features)``.

    Raises:
        PluginError: as for `draw_params`.
    """
    with _call(cell, "initial_carry", CARRY_MUST):
        return cell.initial_carry(params, input_shape)


def take_step(cell: Cell, params: Params, carry: Carry, x: Inputs) -> tuple[Carry, Outputs]:
    """Take a cell's step.

    Raises:
        PluginError: the author's code fails, or does not return two things.

    >>> from types import SimpleNamespace
    >>> cell = SimpleNamespace(step=lambda params, carry, x: carry)
    >>> take_step(cell, None, jnp.ones((2, 3)), jnp.ones((2, 4)))
    Traceback (most recent call last):
    charrnn_core.errors.PluginError: ...: a step of cell SimpleNamespace returns float32[2,3]; it...
    """
    call = _call(cell, "step", STEP_MUST, carry=carry, x=x)
    with call:
        result = cell.step(params, carry, x)
    return _pair(call, result)


def training_step(
    cell: Cell, params: Params, carry: Carry, x: Inputs, noise: Noise
) -> tuple[Carry, Outputs]:
    """Take a cell's step while training: its `noisy_step` if it has one, else its `step`.

    Raises:
        PluginError: as for `take_step`.
    """
    if not isinstance(cell, NoisyCell):
        return take_step(cell, params, carry, x)
    call = _call(cell, "noisy_step", STEP_MUST, carry=carry, x=x)
    with call:
        result = cell.noisy_step(params, carry, x, noise)
    after, y = _pair(call, result)
    _demand_same_carry(call, carry, after)
    return after, y


def own_sequence(
    cell: SequenceCell, params: Params, carry: Carry, xs: Inputs, reset: Reset
) -> tuple[Carry, Outputs]:
    """Read a window by the cell's own sequence.

    Raises:
        PluginError: the author's code fails, or returns arrays of the wrong shape.
    """
    call = _call(cell, "sequence", _SEQUENCE_MUST, carry=carry, xs=xs)
    with call:
        result = cell.sequence(params, carry, xs, reset)
    after, ys = _pair(call, result)
    _demand_same_carry(call, carry, after)
    if getattr(ys, "ndim", None) != 3 or ys.shape[:2] != xs.shape[:2]:
        raise call.fault(f"returns outputs {outlined(ys)}")
    return after, ys


def check_step(cell: Cell, params: Params, in_features: int) -> int:
    """Try a step with shapes alone; return H, the width of the output.

    Raises:
        PluginError: a step cannot be taken, or breaks the contract of `charrnn_core.cell.Cell`.
    """
    x = jax.ShapeDtypeStruct((_ROWS, in_features), jnp.float32)
    carry = jax.eval_shape(lambda params: begin(cell, params, x.shape), params)
    call = _call(cell, "step", STEP_MUST, carry=carry, x=x)

    def step(params: Params, carry: Carry, x: Inputs) -> Outputs:
        after, y = take_step(cell, params, carry, x)
        if form(y) == form(carry) and not _same_shapes(after, carry):
            raise call.fault(f"returns {outlined((after, y))}, which looks like (output, carry)")
        if jnp.result_type(float) == jnp.float32:  # else parameters may become float64 yet
            _demand_same_carry(call, carry, after)
        if getattr(y, "ndim", None) != 2 or y.shape[0] != _ROWS:
            raise call.fault(f"returns an output {outlined(y)}, which has to be [B,H] with B=2")
        return y

    return jax.eval_shape(step, params, carry, x).shape[1]


def output_width(cell: Cell, params: Params, in_features: int) -> int:
    """Return H, the width of a cell's output, without computing it."""
    x = jax.ShapeDtypeStruct((1, in_features), jnp.float32)

    def step(params: Params, x: Inputs) -> Outputs:
        return take_step(cell, params, begin(cell, params, (1, in_features)), x)[1]

    return jax.eval_shape(step, params, x).shape[1]


def _call(cell: Cell, method: str, must: str, **got: Tree) -> Call:
    what = {"init": "init", "initial_carry": "the initial carry", "sequence": "a sequence"}
    written = getattr(cell, "written", None)
    name, author = (
        written(method) if written else (type(cell).__name__, getattr(cell, method, cell))
    )
    return Call(f"{what.get(method, 'a step')} of cell {name}", author, must, got)


def _pair(call: Call, result: Any) -> tuple[Carry, Outputs]:
    if not a_pair(result):
        raise call.fault(f"returns {outlined(result)}")
    first, second = result
    return first, second


def _same_shapes(one: Tree, other: Tree) -> bool:
    return jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, other)


def _demand_same_carry(call: Call, carry: Carry, after: Carry) -> None:
    if form(after) != form(carry):
        raise call.fault(
            f"returns a carry {outlined(after)}, where its structure, shapes and dtypes must not "
            "change"
        )
