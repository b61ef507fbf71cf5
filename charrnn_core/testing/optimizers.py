"""The contract of an optimizer: an optax transformation that any run can train with and save."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from charrnn_core.arrays import Params
from charrnn_core.registry.options import annotations
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.demands import demand_fixed_shapes, demand_purity, demand_safe_keeping
from charrnn_core.testing.kit import Kit, NotApplicable, fail
from charrnn_core.testing.registration import REGISTRATION
from charrnn_core.testing.subject import Subject
from charrnn_core.testing.trees import farthest, randomly

_UPDATES = 300
_DISTANCES = (1.0, 0.1, 0.01, 0.001)
_SHARE = 0.1
_LONGEST = 2**31 - 1
_ROUNDING = 1e-5
_RATE = "learning_rate"

Update = Callable[[Any, Any, Any], tuple[Any, Any]]


class OptimizerSubject(Subject):
    """An optimizer under test, built for a run of 300 updates by default.

    >>> OptimizerSubject.of("optimizer", "sgd:0.5").rate
    0.5
    """

    @property
    def rate(self) -> float:
        """Its learning rate, as the spec gives it."""
        return getattr(self.options(), _RATE)

    def build(self, total_steps: Any = _UPDATES, **changes: Any) -> Any:
        """Return the optimizer for this many updates, with other options."""
        if not changes:
            return self.make(total_steps)
        ref = self.registry.resolve(self.kind, self.ref).with_options(changes)
        return self.target()(self.registry.options(self.kind, ref), total_steps)

    @cached_property
    def optimizer(self) -> optax.GradientTransformation:
        """The optimizer; a check that needs one does not apply if there is none."""
        optimizer = self.build()
        if not _is_optimizer(optimizer):
            raise NotApplicable("it does not return an optax.GradientTransformation")
        return optimizer

    @cached_property
    def update(self) -> Update:
        """``(grads, state, params) -> changes, state``, compiled."""
        return compiled(updating(self.optimizer))


def updating(optimizer: optax.GradientTransformation) -> Update:
    """Call the optimizer's update as training does."""

    def update(grads: Params, state: Any, params: Params) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(grads, state, params)

    return update


def applied(params: Params, changes: Any) -> Any:
    """Return the parameters after a change."""
    with jax.numpy_dtype_promotion("standard"):
        return optax.apply_updates(params, changes)


def parameters(seed: int = 0) -> Any:
    """Return random parameters, in float32."""
    return randomly({"W": np.zeros((4, 3), np.float32), "bias": np.zeros(3, np.float32)}, seed)


def gives_a_transformation(subject: OptimizerSubject) -> None:
    """It returns an optax.GradientTransformation."""
    optimizer = subject.build()
    if not _is_optimizer(optimizer):
        fail(
            f"it returns a {type(optimizer).__name__}",
            "return an optax.GradientTransformation, such as optax.chain(...) or optax.adam(...)",
        )


def _is_optimizer(optimizer: Any) -> bool:
    return callable(getattr(optimizer, "init", None)) and callable(
        getattr(optimizer, "update", None)
    )


def updates_fit_parameters(subject: OptimizerSubject) -> None:
    """Updates have the structure, shapes and dtypes of the parameters."""
    params = parameters()
    state = subject.optimizer.init(params)
    changes, _ = jax.eval_shape(updating(subject.optimizer), parameters(1), state, params)
    demand_fixed_shapes(
        "an update", params, changes, "compute updates leaf by leaf, in each leaf's shape and dtype"
    )


def state_is_fixed(subject: OptimizerSubject) -> str:
    """An update keeps the state's structure, shapes and dtypes."""
    params = parameters()
    before = jax.eval_shape(subject.optimizer.init, params)
    _, after = jax.eval_shape(updating(subject.optimizer), parameters(1), before, params)
    demand_fixed_shapes(
        "an update", before, after,
        "start with arrays of exactly the shape and dtype that an update returns, such as "
        "jnp.zeros((), jnp.int32) for a count",
    )  # fmt: skip
    leaves = jax.tree.leaves(before)
    return f"{len(leaves)} arrays, {sum(leaf.size for leaf in leaves)} numbers"


def saves_and_loads(subject: OptimizerSubject) -> None:
    """Its state survives a checkpoint bit for bit."""
    params = parameters()
    state = randomly(compiled(subject.optimizer.init)(params), 2)
    template = jax.eval_shape(lambda: subject.build().init(params))
    demand_safe_keeping(
        {"opt_state": state}, {"opt_state": template},
        "use plain arrays for the state",
    )  # fmt: skip


def pure(subject: OptimizerSubject) -> None:
    """The same gradient, state and parameters give the same update, compiled or not."""
    params = parameters()
    state = subject.optimizer.init(params)
    first, other = ((parameters(seed), state, params) for seed in (1, 2))
    change = "keep everything it remembers in the state that update takes and returns"
    demand_purity(updating(subject.optimizer), first, other, change)


def minimises_a_quadratic(subject: OptimizerSubject) -> str:
    """From some distance, 300 updates reduce a quadratic to less than a tenth."""
    goal = parameters(3)
    signs = jax.tree.map(lambda leaf: jnp.where(leaf > 0, 1.0, -1.0), parameters(4))

    def start(distance: jax.Array) -> Any:
        return jax.tree.map(lambda leaf, sign: leaf + distance * sign, goal, signs)

    def cost(params: Params) -> jax.Array:
        parts = jax.tree.map(lambda one, two: jnp.sum((one - two) ** 2), params, goal)
        return jnp.sum(jnp.stack(jax.tree.leaves(parts))) / 4

    def advance(params: Params, state: Any) -> tuple[Any, Any]:
        changes, state = updating(subject.optimizer)(jax.grad(cost)(params), state, params)
        return applied(params, changes), state

    costs, advance = compiled(jax.vmap(cost)), compiled(jax.vmap(advance))
    params = jax.vmap(start)(jnp.asarray(_DISTANCES))
    before, state = costs(params), jax.vmap(subject.optimizer.init)(params)
    # A loop of calls, not a scan: a state that changes its dtype is another check's finding.
    for _ in range(_UPDATES):
        params, state = advance(params, state)
    shares = np.nan_to_num(np.asarray(costs(params) / before), nan=np.inf)
    best = float(shares.min())
    if not best < _SHARE:
        fail(
            f"after {_UPDATES} updates a quadratic is at best {best:.3g} times its initial value, "
            f"starting {', '.join(map(str, _DISTANCES))} away; expected less than {_SHARE}",
            "make the updates point down the gradient, as optax.scale_by_learning_rate does: they "
            "are added to the parameters",
        )
    return f"to {best:.1g} of its initial value, from {_DISTANCES[int(shares.argmin())]} away"


def zero_gradients(subject: OptimizerSubject) -> None:
    """Zero gradients leave updates and state finite."""
    params = parameters()
    state = subject.optimizer.init(params)
    zeros = jax.tree.map(jnp.zeros_like, params)
    for step in range(3):
        changes, state = subject.update(zeros, state, params)
        for what, tree in {"update": changes, "state": state}.items():
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                if jnp.issubdtype(leaf.dtype, jnp.inexact) and not jnp.isfinite(leaf).all():
                    fail(
                        f"with zero gradients, {jax.tree_util.keystr(path)} of the {what} is not "
                        f"finite in update {step + 1}",
                        "add a small epsilon to the denominator",
                    )


def runs_of_any_length(subject: OptimizerSubject) -> None:
    """It can be built for a run of one update, and of two billion."""
    if subject.given:
        raise NotApplicable("it was given as an object, already built")
    params = parameters()
    usual = subject.optimizer.init(params)
    for total_steps in (1, _LONGEST):
        try:
            optimizer = subject.build(total_steps)
            state = optimizer.init(params)
            changes, _ = updating(optimizer)(parameters(1), state, params)
        except (ValueError, ArithmeticError) as error:
            fail(
                f"for a run of {total_steps} updates it raises {type(error).__name__}: {error}",
                "limit the warm-up to the length of the run, as charrnn_core.schedules does",
            )
        demand_fixed_shapes(
            f"building it for {total_steps} updates instead of {_UPDATES}", usual, state,
            "make the state's shapes depend only on the parameters",
        )  # fmt: skip
        if not all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(changes)):
            fail(
                f"in a run of {total_steps} updates the first one is not finite",
                "avoid dividing by zero when the warm-up is as long as the run",
            )


def length_known_inside_jit(subject: OptimizerSubject) -> None:
    """The number of updates may be an int32 array that is known only inside jit."""
    if subject.given:
        raise NotApplicable("it was given as an object, already built")
    params, state = parameters(), subject.optimizer.init(parameters())
    total_steps, change = 7, "use charrnn_core.schedules, or compute with jax.numpy only"

    @compiled
    def late(total: jax.Array, grads: Params, state: Any) -> tuple[Any, Any]:
        return updating(subject.build(total))(grads, state, params)

    early = compiled(updating(subject.build(total_steps)))
    states = state, state
    for step in range(4):
        grads = parameters(step + 1)
        try:
            changes, after = late(jnp.int32(total_steps), grads, states[0])
        except jax.errors.JAXTypeError:
            fail(
                "it needs the number of updates in advance, which --minutes cannot provide", change
            )
        expected, known_before = early(grads, states[1], params)
        states = after, known_before
        apart, where = farthest(changes, expected)
        if apart > _ROUNDING:
            fail(
                f"if the number of updates ({total_steps}) is known only inside jit, update "
                f"{step + 1} differs at {where} by {apart:.2g} from when it is known in advance",
                change,
            )


def learning_rate(subject: OptimizerSubject) -> str:
    """It has the option learning_rate, and a larger rate moves the parameters further."""
    if subject.given:
        raise NotApplicable("it was given as an object, without options")
    known = annotations(subject.provider.component.options)
    if _RATE not in known:
        fail(
            f"its options are {', '.join(known) or 'none'}",
            f"declare '{_RATE}: float = opt(...)', which charrnn run --lr sets",
        )
    rate = subject.rate
    near, far = (_moved(subject.build(learning_rate=each)) for each in (rate / 2, rate))
    if not far > near:
        fail(
            f"in five updates a rate of {rate / 2:g} moves the parameters by {near:.4g}, and one "
            f"of {rate:g} by {far:.4g}",
            f"scale the updates by options.{_RATE}",
        )
    return f"twice the rate moves {far / near:.2g} times as far"


def _moved(optimizer: optax.GradientTransformation) -> float:
    """Return how far five updates move the parameters."""
    update, params = compiled(updating(optimizer)), parameters()
    start, state = params, optimizer.init(params)
    for _ in range(5):
        changes, state = update(parameters(1), state, params)
        params = applied(params, changes)
    steps = jax.tree.map(lambda one, two: jnp.sum((one - two) ** 2), params, start)
    return float(np.sqrt(sum(jax.tree.leaves(steps))))


KIT = Kit(OptimizerSubject, (
    *REGISTRATION,
    gives_a_transformation, updates_fit_parameters, state_is_fixed, saves_and_loads, pure,
    minimises_a_quadratic, zero_gradients, runs_of_any_length, length_known_inside_jit,
    learning_rate,
))  # fmt: skip
"""The kit for optimizers."""
