"""One update of the parameters, and many updates per device call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.ahead import begun
from charrnn_core.blame import Call
from charrnn_core.cell import Carry, Params
from charrnn_core.engine.unroll import restart
from charrnn_core.files.checkpoint import Arrays
from charrnn_core.network.mesh import data_mesh, on_host, spread
from charrnn_core.network.network import Network
from charrnn_core.network.pytree import from_arrays, to_arrays
from charrnn_core.randomness import random_key
from charrnn_core.training.average import averaged
from charrnn_core.training.batches import Batch
from charrnn_core.training.moving import Moving
from charrnn_core.training.rows import changed
from charrnn_core.training.shards import SharedLoss
from charrnn_core.training.soundness import all_finite, lost_rows, stays_finite
from charrnn_core.training.state import Known, Measured, Program, TrainState
from charrnn_core.training.window_loss import Loss, WindowLoss

_MUST = "a cell, a loss and an optimizer must be differentiable and have fixed shapes"

_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""How to compile what runs once."""

MakeOptimizer = Callable[[jax.Array | int], optax.GradientTransformation]


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
        moving: which parameters move, and how fast.
        seed: the random seed of the parameters and of dropout.
        readings: float32[rows], how often the training text reads each row of the context; None if
            rare ones are not dropped more often.
    """

    network: Network
    loss: Loss
    make_optimizer: MakeOptimizer
    streams: int
    shards: int = 1
    total_steps: int | None = None
    skip: bool = False
    average: float = 0.0
    moving: Moving = Moving()
    seed: int = 0
    readings: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    _programs: dict[tuple[int, int], Callable[[], Program]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @property
    def window_loss(self) -> WindowLoss:
        """The loss of one window, and its gradient."""
        return WindowLoss(self.network, self.loss, self.streams, self.moving)

    @property
    def shared_loss(self) -> SharedLoss:
        """The same, shared by the devices of the mesh."""
        return SharedLoss(self.window_loss, self.shards)

    @cached_property
    def shapes(self) -> TrainState:
        """The shapes of a state; nothing is computed."""
        shapes = jax.eval_shape(self._begun, jax.eval_shape(lambda: jax.random.key(0)))
        # Nothing else of a type counts, so that a run and its resumption are the same program.
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), shapes)

    def init(self) -> TrainState:
        """Return a fresh state with random parameters, laid out over the mesh.

        One compiled program makes all of it.
        """

        def begun(seed: jax.Array) -> TrainState:
            return self._begun(random_key(seed, "init"))

        seed = np.uint32(self.seed)
        program = jax.jit(begun, compiler_options=_QUICKLY).lower(seed).compile()
        # The threads of LAPACK spin, which costs an update that is still being compiled the cores.
        for compiled in self._programs.values():
            compiled()
        return self.place(program(seed))

    def fresh(self, params: Params) -> TrainState:
        """Return the state at the start of a training of these parameters."""
        return self.place(jax.jit(self._around, compiler_options=_QUICKLY)(params))

    def _begun(self, key: jax.Array) -> TrainState:
        return self._around(self.network.compiled_init(key))

    def _around(self, params: Params) -> TrainState:
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
        shapes = self.shapes._asdict()
        fields = {name: from_arrays(arrays, leaves, name) for name, leaves in shapes.items()}
        # Copy, since these are views of the file's bytes and an update writes into its state.
        state = jax.tree.map(jnp.array, TrainState(**fields))
        carry, lost = jax.jit(self._mended)(state.params, state.carry)
        if count := int(lost.sum()):
            note(
                f"note: {count} of {self.streams} streams were saved with a carry that is not "
                "finite; their carry is reset"
            )
        return state._replace(carry=carry)

    def _mended(self, params: Params, carry: Carry) -> tuple[Carry, jax.Array]:
        """Return the carry, reset where it is not finite, and which streams were: ``bool[B]``."""
        fresh = self.network.initial_carry(params, self.streams)
        lost = lost_rows(carry, fresh, self.streams)
        return restart(lost, carry, fresh), lost

    def place(self, state: TrainState) -> TrainState:
        """Lay a state out over the mesh: the carry split by streams, the rest on every device."""
        # Arrays of the host are split without a program that has to be compiled first.
        return spread(state._replace(carry=jax.tree.map(on_host, state.carry)), self._layout(state))

    def spread(self, batches: Batch, *, several: bool = True) -> Batch:
        """Lay batches out over the mesh, or one, as other processes need it; else jax does that."""
        layout = self._layout_of_batches(several)
        return batches if layout.inputs.is_fully_addressable else spread(batches, layout)

    def _layout(self, state: TrainState) -> TrainState:
        everywhere, by_stream = self._placed(), self._placed("data")
        layout = jax.tree.map(lambda leaf: everywhere, state)
        return layout._replace(carry=jax.tree.map(lambda leaf: by_stream, state.carry))

    def _layout_of_batches(self, several: bool) -> Batch:
        first = (None,) if several else ()
        windows, streams = self._placed(*first, None, "data"), self._placed(*first, "data")
        return Batch(windows, windows, streams, windows)

    def _placed(self, *axes: str | None) -> NamedSharding:
        return NamedSharding(data_mesh(self.shards), PartitionSpec(*axes))

    @property
    def _known(self) -> Known:
        return Known(np.uint32(self.seed), self.readings)

    def compile(self, room: int, window: int) -> Program:
        """Compile ``(state, batches, count, total_steps) -> (state, Measured)`` from shapes alone.

        `batches` holds `room` batches behind a leading axis, of which the first `count` are used.
        The state passed in is left unchanged, so that an unsound call can be undone.
        """
        return self.compile_ahead(room, window)()

    def compile_ahead(self, room: int, window: int) -> Callable[[], Program]:
        """Begin what `compile` does, and return a function that waits for the program.

        A second call, for the same sizes, waits for the same program.

        Raises:
            PluginError: the cell's, the loss's or the optimizer's code fails.
        """
        if (room, window) not in self._programs:
            lowered, spread = self._lowered(room, window), self.spread
            program = partial(Program, known=self._known, spread=spread)
            self._programs[room, window] = begun(lambda: program(lowered.compile()))
        return self._programs[room, window]

    def _lowered(self, room: int, window: int) -> Any:
        """Return `_advance` for these sizes as XLA gets it."""
        layout, everywhere = self._layout(self.shapes), self._placed()
        by_stream = self._placed(None, "data")
        advance = jax.jit(
            self._advance,
            in_shardings=(
                layout,
                self._layout_of_batches(several=True),
                everywhere,
                everywhere,
                everywhere,
            ),
            out_shardings=(layout, Measured(everywhere, everywhere, by_stream, everywhere)),
        )
        ids = jax.ShapeDtypeStruct((room, window, self.streams), jnp.int32)
        weights = jax.ShapeDtypeStruct(ids.shape, jnp.float32)
        reset = jax.ShapeDtypeStruct((room, self.streams), jnp.bool_)
        batches = Batch(ids, ids, reset, weights)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        with jax.set_mesh(data_mesh(self.shards)), Call("an update", None, _MUST):
            return advance.lower(self.shapes, batches, number, number, self._known)

    def _advance(
        self,
        state: TrainState,
        batches: Batch,
        count: jax.Array,
        total_steps: jax.Array,
        known: Known,
    ) -> tuple[TrainState, Measured]:
        """Make `count` updates, and tell whether they left everything finite.

        What is known of the training is an argument, so that those of other seeds, say, are the
        same program.
        """
        steps = total_steps if self.total_steps is None else self.total_steps
        optimizer = self.make_optimizer(steps)

        def update(
            i: jax.Array, before: tuple[TrainState, Measured]
        ) -> tuple[TrainState, Measured]:
            state, measured = before
            batch = jax.tree.map(lambda leaf: leaf[i], batches)
            key = random_key(known.seed, "dropout", state.step)
            after, nats, made, lost = self._update(optimizer, state, batch, key, known.readings)
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
        self,
        optimizer: optax.GradientTransformation,
        state: TrainState,
        batch: Batch,
        key: jax.Array,
        readings: jax.Array | None,
    ) -> tuple[TrainState, jax.Array, jax.Array, jax.Array]:
        """Make one update; return the state after it and its `nats`, `made` and `lost`."""
        portion, grads, (carry, nats) = self.shared_loss.gradient(
            state.params, state.carry, batch, key, readings
        )
        params, opt_state = changed(optimizer, state, portion, grads, self.moving)
        average = averaged(state.average, params, state.step, self.average, self.moving)
        carry, lost = self._mended(state.params, carry)
        after = TrainState(params, opt_state, carry, state.step + 1, state.scale, average)
        made = jnp.bool_(True)
        if self.skip:
            made = jnp.isfinite(nats) & all_finite((grads, params))
            made &= stays_finite(opt_state, state.opt_state)
            # From the same carry, a stream would overflow again in the next window.
            fresh = self.network.initial_carry(state.params, self.streams)
            skipped = state._replace(step=after.step, carry=restart(lost, state.carry, fresh))
            after = jax.tree.map(partial(jnp.where, made), after, skipped)
        return after, nats, made, lost

    def gradient_norms(self, state: TrainState, batch: Batch) -> dict[str, float]:
        """Return the norm of the loss's gradient for each parameter, by its path."""

        def gradient(state: TrainState, batch: Batch, known: Known) -> Params:
            key = random_key(known.seed, "dropout", state.step)
            return self.shared_loss.gradient(state.params, state.carry, batch, key, known.readings)[
                1
            ]

        batch = self.spread(batch, several=False)
        with jax.set_mesh(data_mesh(self.shards)):
            grads = jax.jit(gradient, out_shardings=self._placed())(state, batch, self._known)
        return {
            path: float(np.linalg.norm(leaf.astype(np.float64)))
            for path, leaf in to_arrays(grads).items()
        }
