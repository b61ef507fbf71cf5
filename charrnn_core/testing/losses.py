"""The contract of a loss: the weighted mean of nats per character."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.blame import Call
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.demands import demand_purity, demand_true_gradients
from charrnn_core.testing.kit import Kit, NotApplicable, fail
from charrnn_core.testing.registration import REGISTRATION
from charrnn_core.testing.subject import Subject
from charrnn_core.testing.trees import Numbers, farthest, shapes

STEPS, ROWS, SYMBOLS = 5, 3, 7
"""Sizes, all distinct, so that a confusion of axes cannot go unseen."""

_TOLERANCE = 1e-5
_BROAD = 1e4
_COARSE = 0.05


class LossSubject(Subject):
    """A loss under test.

    >>> LossSubject.of("loss", "crossentropy").cost(*example(0)).dtype
    dtype('float32')
    """

    @cached_property
    def loss(self) -> Callable[..., Any]:
        """The loss, as its target makes it."""
        return self.make()

    def sum(self, logits: Any, targets: Any, weights: Any) -> jax.Array:
        """Return the loss as one number; only `one_number` checks that it was one."""
        return jnp.sum(self.loss(logits, targets, weights))

    def try_out(self) -> None:
        """Compute it once, in shapes alone.

        Raises:
            PluginError: the author's code fails.
        """
        logits, targets, weights = example(0)
        got = {"logits": logits, "targets": targets, "weights": weights}
        with Call("the loss", self.loss, "it must return one number", got):
            jax.eval_shape(lambda *arguments: self.loss(*arguments), *example(0))

    @cached_property
    def cost(self) -> Callable[..., jax.Array]:
        """The same, compiled."""
        return compiled(self.sum)


def example(seed: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return random ``logits: float32[T,B,V]``, ``targets: int32[T,B]``, ``weights: [T,B]``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(STEPS, ROWS, SYMBOLS)).astype(np.float32)
    targets = rng.integers(SYMBOLS, size=(STEPS, ROWS), dtype=np.int32)
    weights = rng.uniform(0.5, 1.5, size=(STEPS, ROWS)).astype(np.float32)
    return logits, targets, weights


def one_number(subject: LossSubject) -> None:
    """It returns one float32."""
    given = shapes(jax.eval_shape(lambda *arguments: subject.loss(*arguments), *example(1)))
    if given != "float32[]":
        fail(
            f"for logits float32[{STEPS},{ROWS},{SYMBOLS}] it returns {given}",
            "return a float32 scalar, such as jnp.sum(nats * weights) / jnp.sum(weights)",
        )


def uniform_logits_cost_ln_v(subject: LossSubject) -> None:
    """With V equally likely symbols, a character costs ln V nats."""
    for symbols in (2, SYMBOLS):
        targets = np.arange(STEPS * ROWS, dtype=np.int32).reshape(STEPS, ROWS) % symbols
        logits = np.zeros((STEPS, ROWS, symbols), np.float32)
        cost = float(subject.cost(logits, targets, np.ones((STEPS, ROWS), np.float32)))
        if not abs(cost - np.log(symbols)) < _TOLERANCE:
            fail(
                f"equal logits for {symbols} symbols cost {cost:.5g}; expected ln {symbols} = "
                f"{np.log(symbols):.5g} nats",
                "return the mean over characters in nats, that is, of the negative natural "
                "logarithm of the target's probability",
            )


def likelier_targets_cost_less(subject: LossSubject) -> None:
    """Raising the logits of the targets lowers the loss, lowering them raises it."""
    _, targets, weights = example(2)
    there = np.eye(SYMBOLS, dtype=np.float32)[targets]
    less, even, more = (
        float(subject.cost(raised * there, targets, weights)) for raised in (1, 0, -1)
    )
    if not less < even < more:
        fail(
            f"with the logits of the targets raised by 1, left alone and lowered by 1, the loss is "
            f"{less:.5g}, {even:.5g} and {more:.5g}",
            "make the loss grow as the targets, ids along the logits' last axis, become less "
            "likely",
        )


def constants_change_nothing(subject: LossSubject) -> None:
    """Adding a constant to all logits of a position does not change the loss."""
    logits, targets, weights = example(3)
    one = subject.cost(logits, targets, weights)
    other = subject.cost(logits + 10 * logits[:, :, :1], targets, weights)
    if not farthest(other, one)[0] < _TOLERANCE:
        fail(
            f"constants added to the logits of each position change the loss from {one:.6g} to "
            f"{other:.6g}",
            "normalise first: compute from jax.nn.log_softmax(logits)",
        )


def padding_counts_for_nothing(subject: LossSubject) -> None:
    """Positions with weight 0 do not influence the loss and get no gradient."""
    (logits, targets, weights), (other_logits, other_targets, _) = example(4), example(5)
    padded = np.zeros((STEPS, ROWS), bool)
    padded[-2:, 1] = True
    weights = np.where(padded, np.float32(0), weights)
    one = subject.cost(logits, targets, weights)
    other = subject.cost(
        np.where(padded[:, :, None], other_logits, logits),
        np.where(padded, other_targets, targets),
        weights,
    )
    change = "multiply the nats of each position by its weight before summing"
    if not farthest(other, one)[0] < _TOLERANCE:
        fail(
            f"other logits and targets where the weight is 0 change the loss from {one:.6g} to "
            f"{other:.6g}",
            change,
        )
    grad = compiled(jax.grad(subject.sum))(logits, targets, weights)
    if not (most := float(np.abs(np.asarray(grad)[padded]).max())) < _TOLERANCE:
        fail(f"where the weight is 0 the gradient is up to {most:.2g}", change)


def weighted_mean(subject: LossSubject) -> None:
    """It is the weighted mean of what each position costs alone."""
    logits, targets, weights = example(6)
    single = np.eye(STEPS * ROWS, dtype=np.float32).reshape(-1, STEPS, ROWS)
    alone = compiled(jax.vmap(subject.sum, (None, None, 0)))(logits, targets, single)
    mean = np.average(alone, weights=weights.reshape(-1))
    cost = subject.cost(logits, targets, weights)
    if not farthest(cost, mean)[0] < _TOLERANCE:
        fail(
            f"{STEPS * ROWS} positions cost {cost:.6g}; the weighted mean of what each costs alone "
            f"is {mean:.6g}",
            "divide by jnp.sum(weights), not by the number of positions or rows",
        )


def order_does_not_matter(subject: LossSubject) -> None:
    """Reordering the positions, across steps and rows, does not change the loss."""
    logits, targets, weights = example(7)
    order = np.random.default_rng(7).permutation(STEPS * ROWS)

    def shuffled(array: Numbers) -> Numbers:
        rest = array.shape[2:]
        return array.reshape(-1, *rest)[order].reshape(STEPS, ROWS, *rest)

    one = subject.cost(logits, targets, weights)
    other = subject.cost(*map(shuffled, (logits, targets, weights)))
    if not farthest(other, one)[0] < _TOLERANCE:
        fail(
            f"the same positions in another order cost {other:.6g} instead of {one:.6g}",
            "make the cost of a position depend only on its own logits and target",
        )


def gradients(subject: LossSubject) -> str:
    """The gradient of the logits matches finite differences."""
    logits, targets, weights = example(8)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        logits, weights = logits.astype(np.float64), weights.astype(np.float64)

        def cost(logits: Any) -> jax.Array:
            return subject.sum(logits, targets, weights)

        grad = compiled(jax.grad(cost))(logits)
        change = "fix its backward rule (custom_vjp, stop_gradient, clipping)"
        # Wide steps, as a loss may well compute in float32.
        apart = demand_true_gradients(compiled(cost), logits, grad, change, 1e-2, 1e-3)
    return f"at most {apart:.1g} apart"


def broad_logits(subject: LossSubject) -> None:
    """Logits of ten thousand give a finite loss and a finite gradient."""
    logits, targets, weights = example(9)
    cost, grad = compiled(jax.value_and_grad(subject.sum))(_BROAD * logits, targets, weights)
    for what, values in {"loss": cost, "gradient": grad}.items():
        if not (finite := np.isfinite(np.asarray(values))).all():
            fail(
                f"with logits of magnitude {_BROAD:g} the {what} contains "
                f"{np.asarray(values)[~finite].flat[0]}",
                "use jax.nn.log_softmax or jax.nn.logsumexp instead of exp and log",
            )


def bfloat16(subject: LossSubject) -> str:
    """Logits in bfloat16 cost about the same as in float32."""
    logits, targets, weights = example(10)
    coarse = logits.astype(jnp.bfloat16)
    expected = subject.cost(coarse.astype(np.float32), targets, weights)
    try:
        with jax.numpy_dtype_promotion("standard"):
            cost = compiled(subject.sum)(coarse, targets, weights)
    except TypeError as error:
        raise NotApplicable("it rejects bfloat16; charrnn passes float32") from error
    apart = farthest(cost, expected)[0]
    if not apart < _COARSE:
        fail(
            f"logits in bfloat16 cost {cost:.5g}; in float32 they cost {expected:.5g}",
            "start with logits.astype(jnp.float32)",
        )
    return f"relative error {apart:.1g}"


def pure(subject: LossSubject) -> None:
    """The same arguments always give the same loss, compiled or not."""
    change = "make it depend only on its arguments, not on a counter or random generator of its own"
    first, other = (tuple(map(jnp.asarray, example(seed))) for seed in (11, 12))
    demand_purity(subject.sum, first, other, change)


KIT = Kit(LossSubject, (
    *REGISTRATION,
    one_number, uniform_logits_cost_ln_v, likelier_targets_cost_less, constants_change_nothing,
    padding_counts_for_nothing, weighted_mean, order_does_not_matter, gradients, broad_logits,
    bfloat16, pure,
))  # fmt: skip
"""The kit for losses."""
