"""Facts gathered before the first training: the text, baselines, sizes of networks.

They are gathered in a separate process, so that the one that starts the trainings stays small:
Linux counts the memory of a parent in the peak of the processes it starts.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_bench.machine import describe_machine, versions
from charrnn_bench.plan import Plan
from charrnn_core.console.stdout import kept_clean
from charrnn_core.devices import use_every_core
from charrnn_core.errors import CharRNNError, UsageError
from charrnn_core.registry.single_file import environment_for_children
from charrnn_core.terminal import say_json, to_stderr


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Facts that all trainings share, and the sizes of their networks.

    Arguments:
        source, sha256: the text's name and digest.
        unit: ``"character"`` or ``"byte"``.
        train_characters, held_out_characters: the lengths of its parts.
        parameters: the size of every cell's network.
        baselines: bits per character of the baselines, the unigram last.
        remarks: what a reader of the figures has to know.
        machine, versions: the machine and the versions of packages.
        shards: how many devices share the streams of each training, on whatever machine it runs;
            None if an earlier version has not noted it.
    """

    source: str
    sha256: str
    unit: str
    train_characters: int
    held_out_characters: int
    parameters: Mapping[str, int]
    baselines: Mapping[str, float]
    remarks: tuple[str, ...]
    machine: str
    versions: Mapping[str, str]
    shards: int | None = None

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        return {**dataclasses.asdict(self), "remarks": list(self.remarks)}

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Survey":
        """Read a survey from its plain form, see `table`."""
        return cls(**{**table, "remarks": tuple(table["remarks"])})

    def changes(self) -> list[str]:
        """Return a line for each change of the machine and the versions since the survey."""
        now = {"machine": describe_machine(), **versions()}
        then = {"machine": self.machine, **self.versions}
        return [
            f"note: {name} was {then.get(name)} and is now {now[name]}; the table mixes both"
            for name in now
            if now[name] != then.get(name)
        ]


def take_survey(plan: Plan) -> Survey:
    """Read the text and build every cell, without training or writing anything.

    Raises:
        CharRNNError: the training of a cell would fail, for the reason in the message.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(plan.table()),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment_for_children(os.environ),
    )
    if done.returncode:
        raise CharRNNError(f"cannot prepare the trainings: exit code {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])  # plugins may have printed lines before it
    if "refused" in answer:
        raise (UsageError if answer["usage"] else CharRNNError)(answer["refused"])
    return Survey.read(answer)


def _survey(plan: Plan) -> Survey:
    use_every_core(least=plan.settings.shards or 1)

    import jax

    from charrnn_core.errors import CorpusError
    from charrnn_core.evaluation.counting import Counting
    from charrnn_core.network.pytree import count_parameters
    from charrnn_core.text.split import count_characters
    from charrnn_core.training.context import TrainingContext
    from charrnn_core.training.setup import TrainingSetup, prepare

    first: TrainingSetup | None = None
    parameters = {}
    for cell in plan.cells:
        context = TrainingContext(note=_silent if first else to_stderr)
        setup = prepare(plan.config(cell).resolve(context.registry), context)
        for line in setup.notes:
            to_stderr(f"note: {cell}: {line}")
        init = setup.network.init
        parameters[cell] = count_parameters(jax.eval_shape(init, jax.random.key(0)))
        first = first or setup
    assert first is not None
    held_out = count_characters(first.held_out)
    if not held_out:
        raise CorpusError(
            f"split {plan.settings.split!r} holds out nothing of {first.corpus.name}, so there is "
            "nothing to compare; choose another with --split"
        )
    rows, remarks = Counting(first.train_ids, first.held_out, first.alphabet).wait()
    return Survey(
        source=first.corpus.name,
        sha256=first.corpus.sha256,
        unit=first.alphabet.unit,
        train_characters=len(first.train_ids),
        held_out_characters=held_out,
        parameters=parameters,
        baselines={row.name: row.bits_per_char for row in sorted(rows, key=_order)},
        remarks=remarks,
        machine=describe_machine(),
        versions=versions(),
        shards=first.config.shards,
    )


def _silent(line: str) -> None:
    """Drop a note: after the first cell, notes about the text would only repeat."""


def _order(row: Any) -> bool:
    return row.name == "unigram"  # the weakest baseline comes last


def main() -> None:
    """Read a plan from standard input; write a survey, or the error, to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent reports the interruption
    try:
        with kept_clean():
            answer = _survey(Plan.read(json.load(sys.stdin))).table()
    except CharRNNError as error:
        answer = {"refused": str(error), "usage": isinstance(error, UsageError)}
    say_json(answer)


if __name__ == "__main__":
    main()
