"""What every process does of a training; the one that leads has a run directory besides."""

from pathlib import Path
from typing import Any

from charrnn_core.cell import Params
from charrnn_core.evaluation.comparison import ScoredPart
from charrnn_core.evaluation.row import Row
from charrnn_core.evaluation.unknown import Unknown
from charrnn_core.events import Incident
from charrnn_core.files.checkpoint import Checkpoint
from charrnn_core.network.counts import with_counts
from charrnn_core.network.pytree import to_arrays
from charrnn_core.runs.loop_state import LoopState
from charrnn_core.runs.manifest import RESUMING, read_manifest
from charrnn_core.runs.model import learnt_params
from charrnn_core.training.closing import better
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.held_out import HeldOut
from charrnn_core.training.host import Host
from charrnn_core.training.loop import UPDATES_PER_CALL, TrainingLoop
from charrnn_core.training.setup import TrainingSetup
from charrnn_core.training.state import TrainState


class Part(Host):
    """The part of a process in a training: that of all but the one that leads.

    It trains and scores with the others, and has nothing to write, to print or to keep. Wherever
    all are needed, as they are for an array that each has a piece of, it does what the leader's
    methods of the same names do.

    Arguments:
        setup: what to train.
        context: the processes, the plugins, the clock and where notes go.
    """

    def __init__(self, setup: TrainingSetup, context: TrainingContext) -> None:
        self._setup, self._context = setup, context
        text = ScoredPart(
            alphabet=setup.alphabet,
            split=setup.config.split,
            part="valid",
            pieces=setup.held_out,
            unknown=Unknown.none(setup.alphabet),
        )
        self._held_out = HeldOut(text, setup.network, setup.config.shards, self._completed)

    def take_part(self, state: TrainState, loop: LoopState) -> None:
        """Train with the others until the leader has all it needs of this process."""
        training = self._loop(state, loop)
        for _ in training.events():
            pass
        if training.loop.held_out is not None and training.loop.status != "interrupted":
            self._better(training)

    def _completed(self, params: Params) -> Params:
        """Return the parameters to use, given those that are learnt."""
        return with_counts(params, self._setup.of_text().counts)

    def _loop(self, state: TrainState, loop: LoopState) -> TrainingLoop:
        setup, context = self._setup, self._context
        return TrainingLoop(
            trainer=setup.trainer,
            state=setup.trainer.place(state),
            loop=loop,
            batching=setup.batching,
            window=setup.config.window,
            budget=setup.budget,
            policy=setup.policy,
            host=self,
            processes=context.processes,
            prompt=setup.config.prompt,
            updates_per_call=context.updates_per_call or UPDATES_PER_CALL,
            from_first_update=context.from_first_update,
        )

    def _better(self, training: TrainingLoop) -> tuple[Row, Row | None]:
        """Return the row of the model to use, and that of the last one if it is worse.

        If the last one is better on all of the held-out text, a checkpoint says so.
        """
        loop = training.loop
        model, last = better(self._held_out, loop, training.state.learnt, self._best(training))
        if last is None and loop.best_step not in (None, loop.step):
            loop.prefer_last()
            self.save(training.state, loop)
        return model, last

    def _best(self, training: TrainingLoop) -> Params | None:
        """Read the best parameters, unless they are the last; None if they cannot be read."""
        loop, processes = training.loop, self._context.processes
        if loop.best_step is None or loop.best_step == loop.step:
            return None
        read = self._read_best(loop.best_step)
        if not processes.of_leader(float(read is not None)):
            return None
        return learnt_params(processes.checkpoint(read), training.state.learnt)

    def _read_best(self, step: int) -> tuple[Path, Checkpoint] | None:
        """Read the best checkpoint; None if it cannot be read, or another process does that."""
        del step
        return None

    def _restored(
        self, read: tuple[Path, Checkpoint] | None, loop: LoopState
    ) -> tuple[TrainState, LoopState, Any]:
        """Return both states and the checkpoint's table as of the last evaluation.

        The learning rate is halved.
        """
        checkpoint = self._context.processes.checkpoint(read)
        path = Path("the checkpoint") if read is None else read[0]
        table = read_manifest(path, checkpoint.table, RESUMING)
        state = self._setup.trainer.restore(checkpoint.arrays, self._context.note)
        state = state._replace(scale=state.scale / 2)
        restored = LoopState.read(table["loop"])
        restored.rollbacks, restored.incident_bytes = loop.rollbacks + 1, loop.incident_bytes
        if restored.status == "stopped early":  # it has been resumed since
            restored.forget_patience()
        restored.status = "running"
        return state, restored, table

    # The methods of `charrnn_core.training.host.Host`.

    def should_stop(self) -> bool:
        return self._context.stop()

    def evaluate(self, params: Params) -> Row | None:
        return self._held_out.glance(params) if self._held_out.text.characters else None

    def seconds_to_close(self, loop: LoopState, seconds_per_character: float) -> float:
        return 0.0

    def begin_updates(self) -> None:
        pass

    def sample(self, state: TrainState) -> str:
        return ""

    def save(self, state: TrainState, loop: LoopState) -> Path:
        to_arrays(state._asdict())
        return Path()

    def roll_back(self, loop: LoopState) -> tuple[TrainState, LoopState]:
        state, restored, _ = self._restored(None, loop)
        return self._setup.trainer.place(state), restored

    def log_incident(self, incident: Incident) -> int:
        return 0
