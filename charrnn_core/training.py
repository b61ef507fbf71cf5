"""Training: one update, many updates per device call, and the loop as a generator of events."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.batches import Batch, Batching, stack_batches
from charrnn_core.cell import Carry, Params
from charrnn_core.errors import TrainingError
from charrnn_core.events import Evaluated, Event, Sampled, Saved, Stepped
from charrnn_core.mesh import data_mesh
from charrnn_core.network import Network

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
MakeOptimizer = Callable[[Any], optax.GradientTransformation]

_CHARACTERS_PER_CALL = 2**16
_UPDATES_PER_CALL = 128
_SECONDS_PER_CALL = 0.5
_UPDATES_PER_ROW = 100
_MOST_STEPS = 2**31 - 1


class TrainState(NamedTuple):
    """Everything an update changes: parameters, optimizer state, the streams' carry, the count."""

    params: Params
    opt_state: Any
    carry: Carry
    step: jax.Array


def _lenient() -> contextlib.AbstractContextManager[Any]:
    """optax mixes dtypes; a user who has set JAX to refuse that means their own code."""
    return jax.numpy_dtype_promotion("standard")


@dataclass(frozen=True)
class Trainer:
    """One network, loss and optimizer, compiled for streams spread over the mesh ``data``.

    Arguments:
        network: what is trained.
        loss: ``(logits, targets, weights) -> nats per character``.
        make_optimizer: ``total_steps -> optax.GradientTransformation``.
        streams: B.
        total_steps: updates of the whole run; None if a wall-clock budget decides, in which case
            the optimizer sees an estimate that changes from call to call.
    """

    network: Network
    loss: Loss
    make_optimizer: MakeOptimizer
    streams: int
    total_steps: int | None

    def init(self, key: jax.Array) -> TrainState:
        """A fresh state, laid out over the mesh: the carry by streams, the rest on every device."""
        params = self.network.init(key)
        # Any number will do for the structure of the optimizer's state.
        opt_state = self.make_optimizer(self.total_steps or 1).init(params)
        carry = self.network.initial_carry(params, self.streams)
        state = TrainState(params, opt_state, carry, jnp.int32(0))
        return jax.device_put(state, self._layout(state))

    def _layout(self, state: TrainState) -> TrainState:
        mesh = data_mesh(self.streams)
        everywhere, by_stream = (NamedSharding(mesh, PartitionSpec(*p)) for p in ((), ("data",)))
        spread = jax.tree.map(lambda leaf: everywhere, state)
        return spread._replace(carry=jax.tree.map(lambda leaf: by_stream, state.carry))

    def compile(self, state: TrainState, room: int, window: int) -> Callable[..., Any]:
        """Compile ``(state, batches, count, total_steps) -> (state, nats[room])``.

        `batches` holds `room` batches behind a leading axis, of which the first `count` are used.
        The state that is passed in is consumed.
        """
        layout = self._layout(state)
        mesh = data_mesh(self.streams)
        by_stream = NamedSharding(mesh, PartitionSpec(None, None, "data"))
        everywhere = NamedSharding(mesh, PartitionSpec())
        advance = jax.jit(
            self._advance,
            donate_argnums=0,
            in_shardings=(layout, by_stream, everywhere, everywhere),
            out_shardings=(layout, everywhere),
        )
        shape = (room, window, self.streams)
        dtypes = Batch(jnp.int32, jnp.int32, jnp.bool_, jnp.float32)
        batches = jax.tree.map(lambda dtype: jax.ShapeDtypeStruct(shape, dtype), dtypes)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        return advance.lower(state, batches, number, number).compile()

    def _advance(self, state: TrainState, batches: Batch, count: Any, total_steps: Any) -> Any:
        optimizer = self.make_optimizer(
            total_steps if self.total_steps is None else self.total_steps
        )

        def update(i: jax.Array, before: Any) -> Any:
            state, nats = before
            batch = jax.tree.map(lambda leaf: leaf[i], batches)
            gradient = jax.grad(self._objective, has_aux=True)
            grads, (carry, mean) = gradient(state.params, state.carry, batch)
            with _lenient():
                changes, opt_state = optimizer.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, changes)
            return TrainState(params, opt_state, carry, state.step + 1), nats.at[i].set(mean)

        empty = jnp.zeros(batches.inputs.shape[0])
        return jax.lax.fori_loop(0, count, update, (state, empty))

    def _objective(self, params: Params, carry: Carry, batch: Batch) -> Any:
        """The loss of one window; the gradient stops at the carry it starts from.

        It is scaled by the share of characters that count, so that every character of an epoch
        weighs the same in the gradient, those in a padded last window too.
        """
        logits, carry = self.network.unroll(params, carry, batch.inputs, batch.reset)
        nats = self.loss(logits, batch.targets, batch.weights)
        return nats * jnp.mean(batch.weights), (carry, nats)


@dataclass
class _Recurring:
    """Something due every `interval` updates, or at every tenth of the budget if that is None."""

    interval: int | None
    tenths: int = field(default=0, init=False)

    def limit(self, step: int) -> int:
        return self.interval - step % self.interval if self.interval else _UPDATES_PER_CALL

    def due(self, step: int, progress: float) -> bool:
        if self.interval:
            return step % self.interval == 0
        before, self.tenths = self.tenths, int(progress * 10)
        return self.tenths > before


def _until_row(steps_per_epoch: int) -> Callable[[int], int]:
    """From a step to how many updates are left until the next row of the metrics log.

    Rows end with epochs; long epochs have more of them, several short epochs share one.
    """
    if steps_per_epoch >= _UPDATES_PER_ROW // 2:
        return lambda step: min(
            steps_per_epoch - step % steps_per_epoch,
            _UPDATES_PER_ROW - step % steps_per_epoch % _UPDATES_PER_ROW,
        )
    interval = steps_per_epoch * -(-_UPDATES_PER_ROW // (2 * steps_per_epoch))
    return lambda step: interval - step % interval


@dataclass(frozen=True)
class Budget:
    """When training ends: after `steps` updates, or when the clock reads `deadline`.

    `started` is when the clock began to count, which may be before training did.
    """

    steps: int | None
    started: float
    deadline: float | None = None

    def progress(self, step: int, now: float) -> float:
        """The share of the budget used, 0 to 1.

        >>> Budget(steps=10, started=0.0).progress(4, now=99.0)
        0.4
        """
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.deadline is not None:
            shares.append((now - self.started) / (self.deadline - self.started))
        return min(1.0, max(shares))


def _estimate(step: int, more: float) -> int:
    """How many updates a wall-clock budget allows; before the first was timed, very many."""
    return step + (int(min(more, _MOST_STEPS - step)) if more > 0 else 10**6)


@dataclass(frozen=True)
class Tools:
    """What the loop calls between updates.

    Arguments:
        evaluate: parameters to held-out nats per character; None if nothing is held out.
        sample: a state to text.
        save: state and held-out nats (None before the first evaluation) to the file written.
        stop: whether somebody wants training to end now.
    """

    evaluate: Callable[[Params], float] | None
    sample: Callable[[TrainState], str]
    save: Callable[[TrainState, float | None], Any]
    stop: Callable[[], bool]


def train_loop(
    trainer: Trainer,
    state: TrainState,
    batching: Batching,
    window: int,
    budget: Budget,
    tools: Tools,
    *,
    prompt: str,
    eval_interval: int | None,
    sample_interval: int | None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Train until the budget is used up or `tools.stop()` says so, yielding what happens.

    Raises:
        TrainingError: the loss is not finite. The last checkpoint is from before.
    """
    per_epoch = batching.steps_per_epoch
    room = max(1, min(_UPDATES_PER_CALL, _CHARACTERS_PER_CALL // (trainer.streams * window)))
    advance = trainer.compile(state, room, window)
    by_steps = budget.steps is not None and budget.deadline is None
    tenth = max(1, -(-(budget.steps or 0) // 10)) if by_steps else None
    evals, samples = _Recurring(eval_interval or tenth), _Recurring(sample_interval or tenth)
    until_row = _until_row(per_epoch)
    step, pace, overhead = int(state.step), math.inf, 0.0
    held_out: float | None = None
    evaluated = False
    characters, row_nats, row_characters, row_seconds = 0, 0.0, 0, 0.0

    def seconds_left() -> float:
        by_steps = (budget.steps - step) * pace if budget.steps is not None else math.inf
        by_clock = budget.deadline - clock() - overhead if budget.deadline else math.inf
        return max(0.0, min(by_steps, by_clock))

    ended = False
    while not ended:
        wanted = min(until_row(step), evals.limit(step), samples.limit(step), room)
        if budget.steps is not None:
            wanted = min(wanted, budget.steps - step)
        left = seconds_left()
        count = max(1, min(wanted, int(min(_SECONDS_PER_CALL, left) / pace) if step else 1))
        total = min(budget.steps or _MOST_STEPS, _estimate(step + count, left / pace))
        batches = stack_batches(batching, step, count, room)
        began = clock()
        state, nats = advance(state, batches, np.int32(count), np.int32(total))
        nats = np.asarray(nats, np.float64)[:count]
        seconds = clock() - began
        weights = batches.weights[:count].sum(axis=(1, 2), dtype=np.float64)
        if not np.isfinite(nats).all():
            bad = step + int(np.argmin(np.isfinite(nats))) + 1
            raise TrainingError(
                f"the loss is not finite at update {bad}; lower the learning rate with --lr, or "
                "clip gradients with --optimizer-opt clip=1"
            )
        step += count
        pace = seconds / count
        row_nats += float(nats @ weights)
        row_characters += int(weights.sum())
        row_seconds += seconds

        progress = budget.progress(step, clock())
        left = seconds_left()
        ended = left <= 0 or tools.stop()
        epoch = step / per_epoch
        between = clock()
        fresh = None
        if evals.due(step, progress) or ended:
            if tools.evaluate is not None:
                fresh = held_out = tools.evaluate(state.params)
                yield Evaluated(step=step, epoch=epoch, nats_per_char=fresh,
                                bits_per_char=fresh / math.log(2))  # fmt: skip
            yield Saved(step=step, path=tools.save(state, held_out))
        if fresh is not None or ended or until_row(step - 1) == 1:
            characters += row_characters
            yield Stepped(
                step=step, epoch=epoch, characters=characters,
                train_nats_per_char=row_nats / row_characters, held_out_nats_per_char=fresh,
                characters_per_second=row_characters / row_seconds,
                progress=progress, seconds_left=left,
            )  # fmt: skip
            row_nats, row_characters, row_seconds = 0.0, 0, 0.0
        if samples.due(step, progress) or ended:
            yield Sampled(step=step, epoch=epoch, prompt=prompt, text=tools.sample(state))
        if fresh is not None:
            # The first time compiles, which will not happen again at the end.
            overhead = clock() - between if evaluated else 0.0
            evaluated = True
