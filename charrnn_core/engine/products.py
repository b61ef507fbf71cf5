"""Products with a weight, the sums they stand in, and groups of sums that share one product."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from charrnn_core.arrays import Array, Leaves
from charrnn_core.engine.equations import BEFORE, FIXED, ONCE, Atom, Env, Equation, Value, read
from charrnn_core.engine.matvec import Precision, row_times, row_times_transposed

_ALONE = 64
"""Sums as wide as multiples of this have a product of their own in a weight's gradient. XLA adds up
narrower ones in another order than all sums side by side, and a run is to keep its bits."""

_PrecisionItems: TypeAlias = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Product:
    """``operand W`` or ``W operand``: a ``dot_general`` of carry-dependent and fixed operands."""

    equation: Equation
    operand: Value
    weight: Atom
    operand_first: bool

    def __call__(self, operand: Array, weight: Array) -> Array:
        if self._one_row:
            return row_times(operand, weight, self._precision)
        pair = (operand, weight) if self.operand_first else (weight, operand)
        return self.equation.source.primitive.bind(*pair, **self.equation.source.params)

    @property
    def plain(self) -> bool:
        """Say whether it is ``[..., n] @ [n, m]``, so that products can share one."""
        contract, batch = self.equation.source.params["dimension_numbers"]
        ndim = self.operand.aval.ndim
        canonical = contract == ((ndim - 1,), (0,)) and batch == ((), ())
        weight_ndim = self.weight.aval.ndim if isinstance(self.weight, Value) else 0
        return self.operand_first and canonical and weight_ndim == 2

    def over_time(self, operands: Array, weight: Array) -> Array:
        """Return the product at every step: ``operands`` has time first."""
        if self.plain:
            return rows_times(operands, weight, tuple(self._precision.items()))
        return jax.vmap(lambda operand: self(operand, weight))(operands)

    @property
    def _one_row(self) -> bool:
        return self.plain and self.operand.aval.size == self.operand.aval.shape[-1]

    def turned(self, weight: Array) -> Array:
        """Return the weight as `operand_gradient` wants it, made once for all steps."""
        return weight.T if self.plain and not self._one_row else weight

    def operand_gradient(self, operand: Array, turned: Array, gradient: Array) -> Array:
        """Return the operand's gradient, from the product's `gradient`."""
        if self._one_row:
            back = row_times_transposed(gradient, turned, self._precision)
            return back.astype(operand.dtype)
        if self.plain:
            axes = ((gradient.ndim - 1,), (0,))
            back = jax.lax.dot_general(gradient, turned, (axes, ((), ())), **self._precision)
            return back.astype(operand.dtype)
        return jax.linear_transpose(lambda o: self(o, turned), operand)(gradient)[0]

    def weight_gradients(self, operands: Array, weight: Array, gradients: Leaves) -> Array:
        """Return the weight's gradient.

        Arguments:
            operands: at every step, time first.
            weight: those of all sums that share the product, side by side.
            gradients: of each of these sums, at every step.
        """
        if self.plain:
            if any(gradient.shape[-1] % _ALONE for gradient in gradients):
                gradients = [jnp.concatenate(gradients, axis=-1)]
            back = _plain_weight_gradients(operands, gradients, self._precision)
            return jnp.concatenate(back, axis=1).astype(weight.dtype)
        [gradient] = gradients  # only plain products are shared
        return jax.linear_transpose(lambda w: self.over_time(operands, w), weight)(gradient)[0]

    @property
    def _precision(self) -> Precision:
        params = self.equation.source.params
        return {k: params[k] for k in ("precision", "preferred_element_type")}


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def rows_times(operands: Array, weight: Array, precision: _PrecisionItems = ()) -> Array:
    """Multiply ``[..., n] @ [n, m]``; its backward pass is two products, neither transposed.

    jax's own rule gives the weight's gradient transposed, and XLA then transposes the long operand.

    Arguments:
        precision: the items of a `Precision`, a tuple because jax hashes it.
    """
    axes = ((operands.ndim - 1,), (0,))
    return jax.lax.dot_general(operands, weight, (axes, ((), ())), **dict(precision))


def _rows_times_forward(
    operands: Array, weight: Array, precision: _PrecisionItems
) -> tuple[Array, tuple[Array, Array]]:
    return rows_times(operands, weight, precision), (operands, weight)


def _rows_times_backward(
    precision: _PrecisionItems, residuals: tuple[Array, Array], gradients: Array
) -> tuple[Array, Array]:
    operands, weight = residuals
    axes = ((gradients.ndim - 1,), (1,))
    back = jax.lax.dot_general(gradients, weight, (axes, ((), ())), **dict(precision))
    [weight_gradient] = _plain_weight_gradients(operands, [gradients], dict(precision))
    return back.astype(operands.dtype), weight_gradient.astype(weight.dtype)


rows_times.defvjp(_rows_times_forward, _rows_times_backward)


def _plain_weight_gradients(
    operands: Array, gradients: Sequence[Array], precision: Precision
) -> Leaves:
    """Return the product of the operands with each of the gradients, over all leading axes."""
    leading = tuple(range(operands.ndim - 1))
    # Kept apart from what made the operands: XLA would compute that in transposed order, slowly.
    columns = jax.lax.optimization_barrier(
        jnp.moveaxis(jax.lax.optimization_barrier(operands), -1, 0)
    )
    axes = ((tuple(range(1, operands.ndim)), leading), ((), ()))
    return [jax.lax.dot_general(columns, gradient, axes, **precision) for gradient in gradients]


_SLOPES: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda y: 1 - y * y,
    "logistic": lambda y: y * (1 - y),
}
"""The derivatives that follow from a function's value, by the function's primitive."""


def is_activation(equation: Equation) -> bool:
    """Say whether its derivative follows from its result."""
    return equation.name in _SLOPES


@dataclass(frozen=True, eq=False)
class Sum:
    """``output = sum of products + sum of extra + sum of rest``, perhaps ``kept = f(output)``.

    Arguments:
        output: the sum.
        products: at least one.
        extra: what is added that does not need the carry.
        rest: what is added that does.
        activation: the only equation that reads the output, if it `is_activation`.
    """

    output: Value
    products: tuple[Product, ...]
    extra: tuple[Atom, ...] = ()
    rest: tuple[Atom, ...] = ()
    activation: Equation | None = None

    @property
    def kept(self) -> Value:
        """Return the value that the rest of the step reads."""
        return self.output if self.activation is None else self.activation.outputs[0]

    def finish(self, total: Array) -> Array:
        """Return the kept value, from the sum."""
        return total if self.activation is None else self.activation(total)[0]

    def pull(self, kept: Array, gradient: Array) -> Array:
        """Return the sum's gradient, from the `gradient` of the kept value."""
        if self.activation is None:
            return gradient
        return gradient * _SLOPES[self.activation.name](kept)

    @property
    def extra_kind(self) -> int:
        """Return FIXED if there is no extra, BEFORE if it differs from step to step, else ONCE."""
        if not self.extra:
            return FIXED
        return BEFORE if self.extra_by_step else ONCE

    @property
    def extra_by_step(self) -> list[Value]:
        """Return those of the extra that differ from step to step."""
        return [a for a in self.extra if isinstance(a, Value) and a.kind == BEFORE]

    @property
    def overwrites_extra(self) -> bool:
        """Say whether what is kept can take the place of the extra, step by step.

        Only an activation is computed in one place: XLA may read what is added to a plain sum again
        after the sum is written, and would then copy all steps of it first.
        """
        return self.extra_kind == BEFORE and self.activation is not None

    def add_extra(self, *extra: Array) -> Array:
        """Return the sum of the extra, in the shape of the output."""
        values = [jnp.broadcast_to(value, self.output.aval.shape) for value in extra]
        return sum(values[1:], start=values[0])


@dataclass(frozen=True, eq=False)
class Group:
    """Sums over the same left operands, computed as one product per operand."""

    sums: tuple[Sum, ...]

    @property
    def products(self) -> tuple[Product, ...]:
        """Return one product per operand, which multiplies by the weights of all sums at once."""
        return self.sums[0].products

    @property
    def merged(self) -> list[tuple[Product, ...]]:
        """Return for each operand the products, one of every sum, that are computed as one."""
        return list(zip(*(item.products for item in self.sums), strict=True))

    @property
    def operands(self) -> tuple[Value, ...]:
        """Return the left operands."""
        return tuple(product.operand for product in self.products)

    def weights(self, env: Env) -> Leaves:
        """Return one weight per operand; merged ones side by side."""
        stacks = [[read(env, product.weight) for product in column] for column in self.merged]
        return [stack[0] if len(stack) == 1 else jnp.concatenate(stack, axis=1) for stack in stacks]

    def compute(
        self,
        operands: Leaves,
        weights: Leaves,
        extras: Sequence[Array | None],
        rest: Sequence[Leaves],
    ) -> Leaves:
        """Return what is kept of every sum.

        Arguments:
            operands, weights: one per operand, the weights as `weights` gives them.
            extras: for every sum its extra, added up; None where it has none.
            rest: for every sum what else is added to it.
        """
        pairs = zip(self.products, operands, weights, strict=True)
        terms = [product(operand, weight) for product, operand, weight in pairs]
        totals = self.split(sum(terms[1:], start=terms[0]))
        return [
            item.finish(sum(added, start=total if extra is None else total + extra))
            for item, total, extra, added in zip(self.sums, totals, extras, rest, strict=True)
        ]

    def split(self, total: Array) -> Leaves:
        """Return each sum's share of a merged result."""
        if len(self.sums) == 1:
            return [total]
        widths = [item.output.aval.shape[-1] for item in self.sums]
        return jnp.split(total, list(accumulate(widths[:-1])), axis=-1)

    def join(self, parts: Sequence[Array]) -> Array:
        """Return the merged result of these shares, the inverse of `split`."""
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)


def as_product(equation: Equation, least: int) -> Product | None:
    """Return an equation as a product of a weight and an operand of at least that kind, or None."""
    if equation.name != "dot_general":
        return None
    if not jnp.issubdtype(equation.outputs[0].aval.dtype, jnp.inexact):
        return None  # it has no gradient
    left, right = equation.inputs
    if left.kind >= least and right.kind <= ONCE and isinstance(left, Value):
        return Product(equation, left, right, operand_first=True)
    if right.kind >= least and left.kind <= ONCE and isinstance(right, Value):
        return Product(equation, right, left, operand_first=False)
    return None


def run_over_time(equations: Sequence[Equation], once: Env, per_step: Env) -> Env:
    """Return what the equations compute at every step, time first.

    Arguments:
        once: values that are the same at every step.
        per_step: values that differ from step to step, time first.
    """
    env = dict(per_step)
    for equation in equations:
        axes = [0 if atom in env else None for atom in equation.inputs]
        values = [env[a] if a in env else read(once, a) for a in equation.inputs]
        product = as_product(equation, BEFORE)
        if product is not None and axes == [0, None]:
            results = [product.over_time(*values)]
        else:
            results = jax.vmap(equation, in_axes=axes)(*values)
        env.update(zip(equation.outputs, results, strict=True))
    return env
