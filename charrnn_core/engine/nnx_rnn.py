"""``flax.nnx.RNN`` with the engine."""

from typing import Any

from flax import nnx

from charrnn_core.arrays import Array, Carry, Params, Tree
from charrnn_core.engine.sequence import apply_over_time, refuse


class NnxRNN(nnx.RNN):
    """``flax.nnx.RNN`` with the engine in place of ``flax.nnx.scan``."""

    def __init__(self, cell: Any, **options: Any) -> None:
        how_to_scan = ("state_axes", "broadcast_rngs")
        refuse({name: options[name] for name in how_to_scan if options.get(name) is not None})
        super().__init__(cell, **options)

    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: Carry | None = None,
        seq_lengths: Array | None = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        rngs: Any = None,
    ) -> Any:
        time_major = self.time_major if time_major is None else time_major
        returns = self.return_carry if return_carry is None else return_carry
        axis = 0 if time_major else inputs.ndim - self.cell.num_feature_axes - 1
        rngs = self.rngs if rngs is None else rngs
        if isinstance(rngs, nnx.Rngs):
            rngs = rngs.carry.fork()
        carry = initial_carry
        if carry is None:
            shape = inputs.shape[:axis] + inputs.shape[axis + 1 :]
            carry = self.cell.initialize_carry(shape, rngs)
        graph, params, others = nnx.split(self.cell, nnx.Param, ...)

        def step(params: Params, state: Tree, x: Array) -> tuple[Tree, Array]:
            others, carry = state
            cell = nnx.merge(graph, params, others)
            carry, y = cell(carry, x)
            return (nnx.state(cell, nnx.Not(nnx.Param)), carry), y

        (others, _), outputs, last = apply_over_time(
            step,
            params,
            (others, carry),
            inputs,
            time_axis=axis,
            seq_lengths=seq_lengths,
            reverse=self.reverse if reverse is None else reverse,
            keep_order=self.keep_order if keep_order is None else keep_order,
            last_of=(lambda state: state[1]) if returns else None,
        )
        nnx.update(self.cell, others)
        return (last, outputs) if returns else outputs
