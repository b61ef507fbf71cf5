"""One update of the parameters, and many updates per device call."""

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

_MUST = "a cell, a loss and an optimizer must be differentiable and have fixed shapes"

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
MakeOptimizer = Callable[[jax.Array | int], optax.GradientTransformation]


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
    opt_state: optax.OptState
    carry: Carry
    step: jax.Array
    scale: jax.Array
    average: Params | None = None

    @property
    def learnt(self) -> Params:
        """The parameters to use: the average, if there is one."""
        return self.params if self.average is None else self.average


def _mixing_dtypes() -> contextlib.AbstractContextManager[None]:
    """Let optax mix dtypes even if the user has made JAX strict, for their own code."""
    return jax.numpy_dtype_promotion("standard")


class Measured(NamedTuple):
    """What a call measures of its updates.

    Fields:
        nats: float32[K], the loss of each in nats per character.
        made: bool[K], whether the update was made; False for one that was skipped.
        lost: bool[K,B], the streams whose carry was not finite after it; their carry is reset.
        sound: bool, whether all losses, and the parameters and the optimizer's state after the last
            update, are finite.
    """

    nats: Any
    made: Any
    lost: Any
    sound: Any


@dataclass(frozen=True)
class Trainer:
    """One network, loss and optimizer, compiled for streams spread over the mesh ``data``.

    Arguments:
        network: the network to train.
        loss: ``(logits, targets, weights) -> nats per character``.
        make_optimizer: ``total_steps -> optax.GradientTransformation``.
        streams: B.
        shards: how many devices share the streams.
        total_steps: updates of the whole run; None if a wall-clock budget decides, in which case
            the optimizer sees an estimate that changes from call to call.
        skip: whether to skip an update if its loss or gradient, or the parameters or the
            optimizer's state after it, are not finite. That costs a few percent; without it a call
            only reports whether it is sound.
        average: the decay of the moving average of the parameters; 0 for none.
        seed: the random seed of dropout.
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
        """Return a fresh state with random parameters, laid out over the mesh."""
        return self.place(self.fresh(self.network.init(key)))

    def fresh(self, params: Params) -> TrainState:
        """Return the state at the start of a training of these parameters."""
        # Any number of steps gives the same structure of the optimizer's state.
        opt_state = self.make_optimizer(self.total_steps or 1).init(params)
        carry = self.network.initial_carry(params, self.streams)
        average = params if self.average else None
        return TrainState(params, opt_state, carry, jnp.int32(0), jnp.float32(1), average)

    def restore(self, arrays: Arrays, note: Callable[[str], None]) -> TrainState:
        """Restore the state from a checkpoint's arrays.

        A stream's carry is reset if it is not finite; earlier versions could save such carries.

        Arguments:
            arrays: the arrays by path.
            note: takes lines for the user.

        Raises:
            CheckpointError: the arrays do not fit the state of this trainer.
        """
        template = jax.eval_shape(lambda key: self.fresh(self.network.init(key)), jax.random.key(0))
        fields = {
            name: from_arrays(arrays, leaves, name) for name, leaves in template._asdict().items()
        }
        # Copy, since these are views of the file's bytes and an update writes into its state.
        state = jax.tree.map(jnp.array, TrainState(**fields))
        fresh = self.network.initial_carry(state.params, self.streams)
        lost = lost_rows(state.carry, fresh, self.streams)
        if count := int(lost.sum()):
            note(
                f"note: {count} of {self.streams} streams were saved with a carry that is not "
                "finite; their carry is reset"
            )
            state = state._replace(carry=restart(lost, state.carry, fresh))
        return state

    def place(self, state: TrainState) -> TrainState:
        """Lay a state out over the mesh: the carry split by streams, the rest on every device."""
        return jax.device_put(state, self._layout(state))

    def _layout(self, state: TrainState) -> TrainState:
        mesh = data_mesh(self.shards)
        everywhere, by_stream = (NamedSharding(mesh, PartitionSpec(*p)) for p in ((), ("data",)))
        spread = jax.tree.map(lambda leaf: everywhere, state)
        return spread._replace(carry=jax.tree.map(lambda leaf: by_stream, state.carry))

    def compile(
        self, state: TrainState, room: int, window: int
    ) -> Callable[..., tuple[TrainState, Measured]]:
        """Compile ``(state, batches, count, total_steps) -> (state, Measured)``.

        `batches` holds `room` batches behind a leading axis, of which the first `count` are used.
        The state passed in is left unchanged, so that an unsound call can be undone.
        """
        layout = self._layout(state)
        mesh = data_mesh(self.shards)
        everywhere, by_stream, windows = (
            NamedSharding(mesh, PartitionSpec(*axes))
            for axes in ((), (None, "data"), (None, None, "data"))
        )
        advance = jax.jit(
            self._advance,
            in_shardings=(
                layout,
                Batch(windows, windows, by_stream, windows),
                everywhere,
                everywhere,
            ),
            out_shardings=(layout, Measured(everywhere, everywhere, by_stream, everywhere)),
        )
        ids = jax.ShapeDtypeStruct((room, window, self.streams), jnp.int32)
        reset = jax.ShapeDtypeStruct((room, self.streams), jnp.bool_)
        weights = jax.ShapeDtypeStruct(ids.shape, jnp.float32)
        batches = Batch(ids, ids, reset, weights)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        with Call("an update", None, _MUST):
            lowered = advance.lower(state, batches, number, number)
        return lowered.compile()

    def _advance(
        self, state: TrainState, batches: Batch, count: jax.Array, total_steps: jax.Array
    ) -> tuple[TrainState, Measured]:
        """Make `count` updates, and tell whether they left everything finite."""
        steps = total_steps if self.total_steps is None else self.total_steps
        optimizer = self.make_optimizer(steps)

        def update(
            i: jax.Array, before: tuple[TrainState, Measured]
        ) -> tuple[TrainState, Measured]:
            state, measured = before
            batch = jax.tree.map(lambda leaf: leaf[i], batches)
            after, nats, made, lost = self._update(optimizer, state, batch)
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

    def _update(
        self, optimizer: optax.GradientTransformation, state: TrainState, batch: Batch
    ) -> tuple[TrainState, jax.Array, jax.Array, jax.Array]:
        """Make one update; return the state after it and its `nats`, `made` and `lost`."""
        gradient = jax.grad(self._objective, has_aux=True)
        key = random_key(self.seed, "dropout", state.step)
        grads, (carry, nats) = gradient(state.params, state.carry, batch, key)
        with _mixing_dtypes():
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
            # From the same carry, a stream would overflow again in the next window.
            carry = restart(lost, state.carry, fresh)
            skipped = state._replace(step=after.step, carry=carry)
            after = jax.tree.map(partial(jnp.where, made), after, skipped)
        return after, nats, made, lost

    def gradient_norms(self, state: TrainState, batch: Batch) -> dict[str, float]:
        """Return the norm of the loss's gradient for each parameter, by its path."""
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
        """Return ``average' = d average + (1 - d) params``; d grows from 0.1 to `average`.

        Source: Polyak and Juditsky 1992; the start as in TensorFlow's ExponentialMovingAverage.
        """
        if state.average is None:
            return None
        n = state.step.astype(jnp.float32)
        decay = jnp.minimum(self.average, (1.0 + n) / (10.0 + n))

        def mean(old: jax.Array, new: jax.Array) -> jax.Array:
            return old + (1.0 - decay).astype(old.dtype) * (new - old)

        return jax.tree.map(mean, state.average, params)

    def _objective(
        self, params: Params, carry: Carry, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Carry, jax.Array]]:
        """Return the loss of one window; no gradient flows into the carry it starts from.

        The loss is scaled by the share of characters that are not padding, so that every character
        of an epoch weighs the same in the gradient, even in a padded last window.
        """
        carry = restart(batch.reset, carry, self.network.initial_carry(params, self.streams))
        logits, carry = self.network.unroll(params, carry, batch.inputs, key=key)
        nats = self.loss(logits, batch.targets, batch.weights)
        return nats * jnp.mean(batch.weights), (carry, nats)
