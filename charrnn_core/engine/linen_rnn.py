"""Modules of flax linen: a charrnn cell as one, and an ``RNN`` that uses the engine."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from charrnn_core.arrays import Array, Carry, Key, Params
from charrnn_core.cell import Cell, LinenCell
from charrnn_core.engine.sequence import apply_over_time, refuse
from charrnn_core.errors import OptionError, shown
from charrnn_core.public import public

_WEIGHTS = "weights"
_HOW_TO_SCAN = ("variable_axes", "variable_broadcast", "variable_carry", "split_rngs")


@public
def as_flax(cell: Any) -> nn.RNNCellBase:
    """Return a cell as a flax linen RNN cell; a linen cell is returned as it is.

    Its parameters are those of the cell, a tree called ``weights``. An initial carry that is
    learnt is that of the parameters where the module is bound, as inside an ``RNN``; elsewhere
    ``initialize_carry(key, shape)`` draws parameters for it.

    Arguments:
        cell: a `Cell`, as `as_cell` makes it, or a flax linen RNN cell.

    Raises:
        OptionError: it is neither.

    >>> from charrnn_core.cell import as_cell
    >>> from flax import nnx
    >>> cell = as_flax(as_cell(lambda width, rngs: nnx.GRUCell(width, 4, rngs=rngs)))
    >>> params = nn.RNN(cell).init(jax.random.key(0), jax.numpy.ones((2, 5, 3)))
    >>> nn.RNN(cell).apply(params, jax.numpy.ones((2, 5, 3))).shape
    (2, 5, 4)
    """
    if isinstance(cell, LinenCell):
        return cell.module
    if isinstance(cell, nn.RNNCellBase):
        return cell
    if isinstance(cell, type) or not isinstance(cell, Cell):
        raise OptionError(
            f"as_flax is given {shown(cell)}; expected a Cell with init, initial_carry and step"
        )
    return FlaxCell(cell)


class FlaxCell(nn.RNNCellBase):
    """A charrnn cell as a flax linen RNN cell."""

    cell: Any

    @nn.compact
    def __call__(self, carry: Carry, x: Array) -> tuple[Carry, Array]:
        return self.cell.step(self.param(_WEIGHTS, self.cell.init, x.shape[-1]), carry, x)

    @nn.nowrap
    def initialize_carry(self, rng: Key, input_shape: tuple[int, ...]) -> Carry:
        return self.cell.initial_carry(self._weights(rng, input_shape[-1]), input_shape)

    def _weights(self, key: Key, in_features: int) -> Params:
        if self.scope is None:
            return self.cell.init(key, in_features)
        if not self.scope.has_variable("params", _WEIGHTS):  # a carry is made before the first step
            drawn = self.cell.init(self.scope.make_rng("params"), in_features)
            self.scope.put_variable("params", _WEIGHTS, drawn)
        return self.scope.get_variable("params", _WEIGHTS)

    @property
    def num_feature_axes(self) -> int:
        return 1


class LinenRNN(nn.RNN):
    """``flax.linen.RNN`` with the engine in place of ``flax.linen.scan``."""

    def __post_init__(self) -> None:
        fields = {field.name: field.default for field in dataclasses.fields(nn.RNN)}
        given = {name: getattr(self, name) for name in _HOW_TO_SCAN}
        refuse({name: value for name, value in given.items() if value != fields[name]})
        super().__post_init__()

    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: Carry | None = None,
        init_key: Key | None = None,
        seq_lengths: Array | None = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
    ) -> Any:
        time_major = self.time_major if time_major is None else time_major
        returns = self.return_carry if return_carry is None else return_carry
        axis = 0 if time_major else inputs.ndim - self.cell.num_feature_axes - 1
        shape = inputs.shape[:axis] + inputs.shape[axis + 1 :]
        carry = initial_carry
        if carry is None:
            key = jax.random.key(0) if init_key is None else init_key
            carry = self.cell.initialize_carry(key, shape)
        if self.is_initializing():
            self.cell(carry, jax.lax.index_in_dim(inputs, 0, axis, keepdims=False))
        module, variables = self.cell.unbind()

        def step(params: Params, carry: Carry, x: Array) -> Any:
            return module.apply({"params": params}, carry, x)

        _, outputs, last = apply_over_time(
            step,
            variables.get("params", {}),
            carry,
            inputs,
            time_axis=axis,
            seq_lengths=seq_lengths,
            reverse=self.reverse if reverse is None else reverse,
            keep_order=self.keep_order if keep_order is None else keep_order,
            last_of=(lambda carry: carry) if returns else None,
        )
        return (last, outputs) if returns else outputs
