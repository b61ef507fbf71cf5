"""Training: one update, and many updates per device call."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.blame import Call
from charrnn_core.cell import Carry, Params
from charrnn_core.engine.unroll import restart
from charrnn_core.files.checkpoint import Arrays
from charrnn_core.network.mesh import data_mesh
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import from_arrays, to_arrays
from charrnn_core.randomness import random_key
from charrnn_core.training.batches import Batch
from charrnn_core.training.soundness import all_finite, lost_rows, stays_finite

_MUST = "a cell, a loss and an optimizer have to be differentiable and of fixed shapes"

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
MakeOptimizer = Callable[[Any], optax.GradientTransformation]


class TrainState(NamedTuple):
    """Everything an update changes.

    Fields:
        params: the parameters.
        opt_state: the optimizer's state.
        carry: the streams' carry.
        step: int32, updates so far.
        scale: float32, a factor on every change of the parameters; rolling back halves it.
        average: a moving average of the parameters; None if there is none.
    """

    params: Params
    opt_state: Any
    carry: Carry
    step: jax.Array
    scale: jax.Array
    average: Params | None = None

    @property
    def learnt(self) -> Params:
        """The parameters to use: the average, if there is one."""
        return self.params if self.average is None else self.average


def _lenient() -> contextlib.AbstractContextManager[Any]:
    """optax mixes dtypes; a user who has set JAX to refuse that means their own code."""
    return jax.numpy_dtype_promotion("standard")


class Measured(NamedTuple):
    """What a call says of its updates.

    Fields:
        nats: float32[K], the loss of each in nats per character.
        made: bool[K], whether the update was made; False for one that was skipped.
        lost: bool[K,B], the streams whose carry was not finite after it; they start afresh.
        sound: bool, whether all losses, the parameters and the optimizer's state after the last
            update are finite.
    """

    nats: Any
    made: Any
    lost: Any
    sound: Any


@dataclass(frozen=True)
class Trainer:
    """One network, loss and optimizer, compiled for streams spread over the mesh ``data``.

    Arguments:
        network: what is trained.
        loss: ``(logits, targets, weights) -> nats per character``.
        make_optimizer: ``total_steps -> optax.GradientTransformation``.
        streams: B.
        shards: how many devices share the streams.
        total_steps: updates of the whole run; None if a wall-clock budget decides, in which case
            the optimizer sees an estimate that changes from call to call.
        skip: whether an update is left out if its loss or gradient, or the parameters or the
            optimizer's state after it, are not finite. That costs a few percent; without it a call
            only says whether it is sound.
        average: the decay of the moving average of the parameters; 0 keeps none.
        seed: decides what is dropped.
    """

    network: Network
    loss: Loss
    make_optimizer: MakeOptimizer
    streams: int
    shards: int = 1
    total_steps: int | None = None
    skip: bool = False
    average: float = 0.0
    seed: int = 0

    def init(self, key: jax.Array) -> TrainState:
        """A fresh state with random parameters, laid out over the mesh."""
        return self.place(self.fresh(self.network.init(key)))

    def fresh(self, params: Params) -> TrainState:
        """The state at the start of a training of these parameters."""
        # Any number will do for the structure of the optimizer's state.
        opt_state = self.make_optimizer(self.total_steps or 1).init(params)
        carry = self.network.initial_carry(params, self.streams)
        average = params if self.average else None
        return TrainState(params, opt_state, carry, jnp.int32(0), jnp.float32(1), average)

    def restore(self, arrays: Arrays, note: Callable[[str], None]) -> TrainState:
        """The state that a checkpoint's arrays hold.

        Streams whose carry is not finite, as earlier versions could save it, start afresh.

        Arguments:
            note: takes lines the user should see.

        Raises:
            CheckpointError: they are not those of such a state.
        """
        template = jax.eval_shape(lambda key: self.fresh(self.network.init(key)), jax.random.key(0))
        fields = {
            name: from_arrays(arrays, leaves, name) for name, leaves in template._asdict().items()
        }
        # Copies: an update writes into its state, and these views share the file's bytes.
        state = jax.tree.map(jnp.array, TrainState(**fields))
        fresh = self.network.initial_carry(state.params, self.streams)
        lost = lost_rows(state.carry, fresh, self.streams)
        if count := int(lost.sum()):
            note(
                f"note: the carry of {count} of {self.streams} streams was saved when it was not "
                "finite; they start afresh"
            )
            state = state._replace(carry=restart(lost, state.carry, fresh))
        return state

    def place(self, state: TrainState) -> TrainState:
        """A state laid out over the mesh: the carry by streams, the rest on every device."""
        return jax.device_put(state, self._layout(state))

    def _layout(self, state: TrainState) -> TrainState:
        mesh = data_mesh(self.shards)
        everywhere, by_stream = (NamedSharding(mesh, PartitionSpec(*p)) for p in ((), ("data",)))
        spread = jax.tree.map(lambda leaf: everywhere, state)
        return spread._replace(carry=jax.tree.map(lambda leaf: by_stream, state.carry))

    def compile(self, state: TrainState, room: int, window: int) -> Callable[..., Any]:
        """Compile ``(state, batches, count, total_steps) -> (state, Measured)``.

        `batches` holds `room` batches behind a leading axis, of which the first `count` are used.
        The state that is passed in stays as it is, so that a call that is not sound can be undone.
        """
        layout = self._layout(state)
        mesh = data_mesh(self.shards)
        everywhere, by_stream, windows = (
            NamedSharding(mesh, PartitionSpec(*axes))
            for axes in ((), (None, "data"), (None, None, "data"))
        )
        advance = jax.jit(
            self._advance,
            in_shardings=(layout, windows, everywhere, everywhere),
            out_shardings=(layout, Measured(everywhere, everywhere, by_stream, everywhere)),
        )
        shape = (room, window, self.streams)
        dtypes = Batch(jnp.int32, jnp.int32, jnp.bool_, jnp.float32)
        batches = jax.tree.map(lambda dtype: jax.ShapeDtypeStruct(shape, dtype), dtypes)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        with Call("an update", None, _MUST):
            lowered = advance.lower(state, batches, number, number)
        return lowered.compile()

    def _advance(self, state: TrainState, batches: Batch, count: Any, total_steps: Any) -> Any:
        optimizer = self.make_optimizer(
            total_steps if self.total_steps is None else self.total_steps
        )

        def update(i: jax.Array, before: Any) -> Any:
            state, measured = before
            batch = jax.tree.map(lambda leaf: leaf[i], batches)
            gradient = jax.grad(self._objective, has_aux=True)
            key = random_key(self.seed, "dropout", state.step)
            grads, (carry, nats) = gradient(state.params, state.carry, batch, key)
            with _lenient():
                changes, opt_state = optimizer.update(grads, state.opt_state, state.params)
            changes = jax.tree.map(lambda leaf: leaf * state.scale.astype(leaf.dtype), changes)
            params = optax.apply_updates(state.params, changes)
            average = self._averaged(state, params)
            fresh = self.network.initial_carry(state.params, self.streams)
            lost = lost_rows(carry, fresh, self.streams)
            carry = restart(lost, carry, fresh)
            after = TrainState(params, opt_state, carry, state.step + 1, state.scale, average)
            made = jnp.bool_(True)
            if self.skip:
                made = jnp.isfinite(nats) & all_finite((grads, params))
                made &= stays_finite(opt_state, state.opt_state)
                # What overflowed in this window would do so from the same carry in the next one.
                carry = restart(lost, state.carry, fresh)
                skipped = state._replace(step=after.step, carry=carry)
                after = jax.tree.map(partial(jnp.where, made), after, skipped)
            return after, Measured(
                measured.nats.at[i].set(nats),
                measured.made.at[i].set(made),
                measured.lost.at[i].set(lost),
                measured.sound,
            )

        room = batches.inputs.shape[0]
        empty = Measured(
            jnp.zeros(room),
            jnp.zeros(room, bool),
            jnp.zeros((room, self.streams), bool),
            jnp.bool_(True),
        )
        after, measured = jax.lax.fori_loop(0, count, update, (state, empty))
        sound = all_finite((measured.nats, after.params))
        sound &= stays_finite(after.opt_state, state.opt_state)
        return after, measured._replace(sound=sound)

    def gradient_norms(self, state: TrainState, batch: Batch) -> dict[str, float]:
        """The norm of the loss's gradient by each parameter, by the parameter's path."""
        grads = jax.jit(jax.grad(self._objective, has_aux=True))(
            state.params,
            state.carry,
            jax.tree.map(jnp.asarray, batch),
            random_key(self.seed, "dropout", state.step),
        )[0]
        return {
            path: float(np.linalg.norm(leaf.astype(np.float64)))
            for path, leaf in to_arrays(grads).items()
        }

    def _averaged(self, state: TrainState, params: Params) -> Params | None:
        """``average' = d average + (1 - d) params``; d is smaller at the start, where much changes.

        Source: Polyak and Juditsky 1992; the start as in TensorFlow's ExponentialMovingAverage.
        """
        if state.average is None:
            return None
        n = state.step.astype(jnp.float32)
        decay = jnp.minimum(self.average, (1.0 + n) / (10.0 + n))

        def mean(old: jax.Array, new: jax.Array) -> jax.Array:
            return old + (1.0 - decay).astype(old.dtype) * (new - old)

        return jax.tree.map(mean, state.average, params)

    def _objective(self, params: Params, carry: Carry, batch: Batch, key: jax.Array) -> Any:
        """The loss of one window; the gradient stops at the carry it starts from.

        It is scaled by the share of characters that count, so that every character of an epoch
        weighs the same in the gradient, those in a padded last window too.
        """
        logits, carry = self.network.unroll(params, carry, batch.inputs, batch.reset, key)
        nats = self.loss(logits, batch.targets, batch.weights)
        return nats * jnp.mean(batch.weights), (carry, nats)
