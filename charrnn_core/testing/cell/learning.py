"""How a cell learns: its gradients, and two tasks that any recurrent network can solve."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from charrnn_core.arrays import Params
from charrnn_core.engine.unroll import unroll
from charrnn_core.network.network import Network
from charrnn_core.testing.cell.subject import INPUTS, ROWS, STEPS, CellSubject, inputs
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.demands import demand_true_gradients
from charrnn_core.testing.kit import fail
from charrnn_core.testing.trees import farthest, in_dtype, randomly, shapes

_WIDTH, _UPDATES, _STREAMS, _RATE = 32, 300, 16, 1e-2
_DELAY, _CHOICES = 10, 4


def gradients(subject: CellSubject) -> str:
    """The gradients of every parameter and of the carry match finite differences."""
    single = {"params": subject.params, "carry": subject.carry}
    given = (inputs(11), randomly(subject.outputs, 12))
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        cell = subject.build()
        parts, (xs, weights) = in_dtype((single, given), jnp.float64)
        after, _ = jax.eval_shape(cell.step, parts["params"], parts["carry"], xs[0])
        accuracy = {}
        if shapes(after) != shapes(parts["carry"]):  # it computes in float32, whatever it is given
            parts, (xs, weights) = in_dtype((single, given), jnp.float32)
            accuracy = {"step": 1e-2, "tolerance": 1e-2}

        def loss(parts: Any) -> jax.Array:
            _, ys = unroll(cell.step, parts["params"], parts["carry"], xs, mode="scan")
            return jnp.sum(ys * weights)

        grads = compiled(jax.grad(loss))(parts)
        change = (
            "fix the backward rule (custom_vjp, custom_jvp, stop_gradient) that it passes through"
        )
        worst = demand_true_gradients(compiled(loss), parts, grads, change, **accuracy)
    return f"at most {worst:.1g} apart"


def every_parameter_learns(subject: CellSubject) -> None:
    """Every parameter of the cell gets a gradient that is finite and not zero."""
    xs, weights = inputs(14), randomly(subject.outputs, 15)

    def loss(params: Params) -> jax.Array:
        _, ys = subject.cell_scan(params, subject.carry, xs)
        return jnp.sum(ys * weights)

    grads = compiled(jax.grad(loss))(subject.params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        name, values = jax.tree_util.keystr(path), np.asarray(leaf, np.float64)
        if not np.isfinite(values).all():
            fail(f"the gradient of {name} is not finite", "look for a division or a root at zero")
        if not np.abs(values).max(initial=0.0) > 0:
            fail(
                f"parameter {name} never gets a gradient: it is zero everywhere",
                "use it in the equation, not behind stop_gradient or rounding, or remove it",
            )


def engine_equals_scan(subject: CellSubject) -> str:
    """A network run by the engine has the same loss and gradients as with a plain scan."""
    cell = subject.build()
    ids = jnp.asarray(np.random.default_rng(0).integers(INPUTS, size=(STEPS, ROWS)), jnp.int32)
    weights = randomly(jnp.zeros((STEPS, ROWS, INPUTS)), 16)

    def run(mode: str) -> Any:
        network = Network(cell, INPUTS, unroll_mode=mode)
        params = network.init(jax.random.key(0))

        def loss(params: Params) -> jax.Array:
            carry = network.initial_carry(params, ROWS)
            return jnp.sum(network.unroll(params, carry, ids)[0] * weights)

        return compiled(jax.value_and_grad(loss))(params)

    apart, where = farthest(run("auto"), run("scan"))
    if not apart < 1e-4:
        fail(
            f"the engine's result at {where} differs from the plain scan's by {apart:.2g}",
            "this is a bug in charrnn: please report it with the cell's code, and use --unroll "
            "scan until it is fixed",
        )
    return f"at most {apart:.1g} apart"


def learns_an_alternation(subject: CellSubject) -> str:
    """It learns that two symbols alternate: the loss falls below half of ln 2 nats."""
    network = Network(subject.build(_WIDTH), 2)
    ids = jnp.asarray(np.indices((12, _STREAMS)).sum(axis=0) % 2, jnp.int32)
    seen, wanted = ids[:-1], ids[1:]

    def loss(params: Params, key: jax.Array) -> jax.Array:
        del key
        return _cross_entropy(network, params, seen, wanted, jnp.ones(wanted.shape))

    reached, bound = _train(network, loss, _UPDATES), 0.5 * float(np.log(2))
    if not reached < bound:
        fail(
            f"after {_UPDATES} updates the loss is {reached:.3f} nats; expected less than "
            f"{bound:.3f}",
            "check that the output depends on the input, and that gradients reach the parameters",
        )
    return f"{reached:.3f} nats"


def copies_over_ten_steps(subject: CellSubject) -> str:
    """It learns to repeat one of four symbols ten steps after seeing it."""
    blank, symbols = _CHOICES, _CHOICES + 1
    network = Network(subject.build(_WIDTH), symbols)

    def loss(params: Params, key: jax.Array) -> jax.Array:
        first = jax.random.randint(key, (1, _STREAMS), 0, _CHOICES, jnp.int32)
        seen = jnp.concatenate([first, jnp.full((_DELAY, _STREAMS), blank, jnp.int32)])
        wanted = jnp.broadcast_to(first, seen.shape)
        last = jnp.zeros(seen.shape).at[-1].set(1.0)
        return _cross_entropy(network, params, seen, wanted, last)

    reached, bound = _train(network, loss, 2 * _UPDATES), 0.5 * float(np.log(_CHOICES))
    if not reached < bound:
        fail(
            f"after {2 * _UPDATES} updates the loss is {reached:.3f} nats; guessing costs "
            f"{2 * bound:.3f}, expected less than {bound:.3f}",
            "start from a recurrence that forgets slowly: an orthogonal or identity recurrent "
            "weight, a forget gate with a positive bias",
        )
    return f"{reached:.3f} nats"


def _cross_entropy(
    network: Network, params: Params, seen: jax.Array, wanted: jax.Array, weights: jax.Array
) -> jax.Array:
    carry = network.initial_carry(params, seen.shape[1])
    logits, _ = network.unroll(params, carry, seen)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, wanted)
    return jnp.sum(losses * weights) / jnp.sum(weights)


def _train(network: Network, loss: Callable[[Any, jax.Array], jax.Array], updates: int) -> float:
    """Train with Adam and return the mean loss over the last tenth of the updates."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(_RATE))

    @compiled
    def run(params: Params) -> jax.Array:
        def update(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            params, memory = state
            value, grads = jax.value_and_grad(loss)(params, key)
            with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
                changes, memory = optimizer.update(grads, memory, params)
            return (optax.apply_updates(params, changes), memory), value

        keys = jax.random.split(jax.random.key(17), updates)
        _, losses = lax.scan(update, (params, optimizer.init(params)), keys)
        return jnp.mean(losses[-updates // 10 :])

    return float(run(network.init(jax.random.key(0))))


LEARNING = (
    gradients, every_parameter_learns, engine_equals_scan, learns_an_alternation,
    copies_over_ten_steps,
)  # fmt: skip
"""The checks of this module."""
