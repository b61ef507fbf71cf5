"""The contract of a recurrent cell, and adapters that make flax cells keep it.

A cell is three pure functions over pytrees. Authors rarely write them: a flax linen RNN cell, or a
constructor of a flax nnx one, is adapted by `as_cell`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Carry, Params
from charrnn_core.blame import Call, home
from charrnn_core.errors import PluginError, shown
from charrnn_core.noise import Noise
from charrnn_core.public import public

STEP_MUST = "a step must return (carry, output)"

CARRY_MUST = "it must return the carry before the first step, with the batch as its first axis"


@public
@runtime_checkable
class Cell(Protocol):
    """One step of a recurrent network: ``h', y = step(params, h, x)``.

    Every leaf of the carry has the batch as its first axis; a step keeps the carry's structure,
    shapes and dtypes, treats batch rows independently and has no side effects.
    """

    def init(self, key: jax.Array, in_features: int) -> Params:
        """Return the parameters, a pytree, for inputs ``float[B,in_features]``."""
        ...

    def initial_carry(self, params: Params, input_shape: tuple[int, int]) -> Carry:
        """Return the carry before the first step, for inputs of shape ``(B, in_features)``."""
        ...

    def step(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        """Read ``x: float[B,in_features]``; return the next carry and the output ``float[B,H]``."""
        ...


@public
def as_cell(made: Any) -> Cell:
    """Adapt what a cell plugin's target returned.

    Arguments:
        made: a `Cell`, a flax linen RNN cell (a module), or a constructor of a flax nnx RNN cell.

    Raises:
        PluginError: it is none of these.

    >>> import flax.linen as nn
    >>> cell = as_cell(nn.GRUCell(features=4))
    >>> params = cell.init(jax.random.key(0), 3)
    >>> carry, y = cell.step(params, cell.initial_carry(params, (2, 3)), jnp.ones((2, 3)))
    >>> y.shape
    (2, 4)
    """
    # If the cell is a flax module, the library is imported already.
    linen, nnx = (sys.modules.get(f"flax.{name}") for name in ("linen", "nnx"))
    if linen is not None and isinstance(made, linen.RNNCellBase):
        return LinenCell(made)
    if isinstance(made, Cell):
        return made
    is_module = any(flax is not None and isinstance(made, flax.Module) for flax in (linen, nnx))
    if callable(made) and not is_module:  # a module is callable too, but does not construct a cell
        return NnxCell(made)
    what = f"a {type(made).__name__}" if is_module else shown(made)
    raise PluginError(
        f"a cell plugin returned {what}; expected a Cell with init, initial_carry and step, a flax "
        "linen RNN cell, or a constructor of a flax nnx RNN cell"
    )


@runtime_checkable
class NoisyCell(Cell, Protocol):
    """A cell whose step draws random numbers during training, such as dropout masks."""

    def noisy_step(
        self, params: Params, carry: Carry, x: jax.Array, noise: Noise
    ) -> tuple[Carry, jax.Array]:
        """Do what `step` does during training, drawing everything random from `noise`."""
        ...


@runtime_checkable
class SequenceCell(Cell, Protocol):
    """A cell with its own method for a whole sequence, such as an associative scan or a kernel.

    It is used for windows in place of `step`; `step` defines the cell and is used for sampling, so
    the two must agree. The step is also used with ``--unroll engine`` and ``--unroll scan``, inside
    another cell, and to train a `NoisyCell`.
    """

    def sequence(
        self, params: Params, carry: Carry, xs: jax.Array, reset: jax.Array
    ) -> tuple[Carry, jax.Array]:
        """Read ``xs: float[T,B,in_features]``; return the carry after it and ``float[T,B,H]``.

        A row starts from `initial_carry` before each step where ``reset: bool[T,B]`` is True.
        """
        ...


@dataclass(frozen=True)
class LinenCell:
    """A flax linen RNN cell as a `Cell`.

    A module that does not override ``initialize_carry`` starts from zeros of ``(B, features)``.
    During training it has the random streams ``step`` and ``window`` of `charrnn_core.noise`.
    """

    module: Any

    def written(self, method: str) -> tuple[str, Any]:
        """Return the cell's name, and the author's code behind a method of `Cell`."""
        kind = type(self.module)
        return kind.__name__, kind.initialize_carry if method == "initial_carry" else kind.__call__

    def init(self, key: jax.Array, in_features: int) -> Params:
        x, carry = jnp.zeros((1, in_features)), self.initial_carry(None, (1, in_features))
        name, author = self.written("step")
        with Call(f"a step of cell {name}", author, STEP_MUST, {"carry": carry, "x": x}):
            variables = dict(self.module.init(key, carry, x))
        params = variables.pop("params", {})
        if variables:
            raise PluginError(
                f"cell {type(self.module).__name__} has variables in {', '.join(variables)}; "
                "put a cell's state in its carry and its weights in 'params'"
            )
        return params

    def initial_carry(self, params: Params, input_shape: tuple[int, int]) -> Carry:
        from flax import linen

        del params  # flax cells have no learned initial carry
        if type(self.module).initialize_carry is linen.RNNCellBase.initialize_carry:
            if not hasattr(self.module, "features"):
                where, name = home(type(self.module)), type(self.module).__name__
                raise PluginError(
                    f"{where}: cell {name} does not define its initial carry: add a field "
                    "features: int, the width of a carry of zeros, or a method "
                    "initialize_carry(self, rng, input_shape)"
                )
            return jnp.zeros((input_shape[0], self.module.features))
        name, author = self.written("initial_carry")
        with Call(f"the initial carry of cell {name}", author, CARRY_MUST):
            return self.module.initialize_carry(jax.random.key(0), input_shape)

    def step(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        return self.module.apply({"params": params}, carry, x)

    def noisy_step(
        self, params: Params, carry: Carry, x: jax.Array, noise: Noise
    ) -> tuple[Carry, jax.Array]:
        return self.module.apply({"params": params}, carry, x, rngs=noise.keys())


@dataclass(frozen=True)
class NnxCell:
    """A constructor of a flax nnx RNN cell, ``make(in_features, rngs=...)``, as a `Cell`."""

    make: Callable[..., Any]

    def written(self, method: str) -> tuple[str, Any]:
        """Return the cell's name, and the author's code behind a method of `Cell`."""
        name = getattr(self.make, "__name__", type(self.make).__name__)
        written = {"init": "__init__", "initial_carry": "initialize_carry"}
        is_class = isinstance(self.make, type)
        return name, getattr(self.make, written.get(method, "__call__")) if is_class else self.make

    def init(self, key: jax.Array, in_features: int) -> Params:
        from flax import nnx

        cell = self._made(in_features, nnx.Rngs(key))
        return nnx.to_pure_dict(nnx.state(cell, nnx.Param))

    def initial_carry(self, params: Params, input_shape: tuple[int, int]) -> Carry:
        from flax import nnx

        del params  # flax cells have no learned initial carry
        return self._blank(input_shape[-1]).initialize_carry(input_shape, nnx.Rngs(0))

    def step(self, params: Params, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        from flax import nnx

        graph, state, rest = nnx.split(self._blank(x.shape[-1]), nnx.Param, ...)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state, rest)(carry, x)

    def _blank(self, in_features: int) -> Any:
        """Return a cell of the right structure; its parameters are replaced before use."""
        from flax import nnx

        with jax.ensure_compile_time_eval():
            return self._made(in_features, nnx.Rngs(0))

    def _made(self, in_features: int, rngs: Any) -> Any:
        from flax import nnx

        name, author = self.written("init")
        must = "it is called as make(in_features, rngs=...) and must return a flax nnx RNN cell"
        call = Call(f"constructor {name}", author, must)
        with call:
            made = self.make(in_features, rngs=rngs)
        if not isinstance(made, nnx.Module) or not hasattr(made, "initialize_carry"):
            raise call.fault(f"returns {shown(made)}")
        return made
