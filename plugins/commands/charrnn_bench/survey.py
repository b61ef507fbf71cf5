"""What is known before the first training: the text, what counting alone achieves, sizes.

It is found out by a process of its own, and so it is not this program but a small one that starts
the trainings: Linux counts the memory of who starts a process in that process's peak.
"""

import dataclasses
import json
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
from charrnn_core.terminal import say_json, to_stderr


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What all trainings have in common, and the sizes of their networks.

    Arguments:
        source, sha256: the text's name and digest.
        unit: what is predicted: ``"character"`` or ``"byte"``.
        train_characters, held_out_characters: how long its parts are.
        parameters: of every cell's network.
        baselines: bits per character of what knows no network, the unigram last.
        remarks: what a reader of the numbers has to know.
        machine, versions: what computed.
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

    def table(self) -> dict[str, Any]:
        """The plain form, for JSON."""
        return {**dataclasses.asdict(self), "remarks": list(self.remarks)}

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Survey":
        """The survey that `table` gave."""
        return cls(**{**table, "remarks": tuple(table["remarks"])})

    def changes(self) -> list[str]:
        """Lines that say what of the machine and the versions has changed since."""
        now = {"machine": describe_machine(), **versions()}
        then = {"machine": self.machine, **self.versions}
        return [
            f"note: {name} was {then.get(name)} and is {now[name]} now; one table has both"
            for name in now
            if now[name] != then.get(name)
        ]


def take_survey(plan: Plan) -> Survey:
    """Read the text and build every cell, with nothing trained and nothing written.

    Raises:
        CharRNNError: what the first training of some cell would refuse; the message says what.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(plan.table()), stdout=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise CharRNNError(f"the trainings could not be prepared: exit code {done.returncode}")
    told = json.loads(done.stdout.splitlines()[-1])  # before it, whatever a plugin has printed
    if "refused" in told:
        raise (UsageError if told["usage"] else CharRNNError)(told["refused"])
    return Survey.read(told)


def _survey(plan: Plan) -> Survey:
    use_every_core(least=plan.settings.shards or 1)

    import jax

    from charrnn_core.errors import CorpusError
    from charrnn_core.evaluation.baselines import begin_baselines
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
            f"split {plan.settings.split!r} holds nothing out of {first.corpus.name}, and there is "
            "nothing to compare; choose another with --split"
        )
    rows, remarks = begin_baselines(first.train_ids, first.held_out, first.alphabet)()
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
    )


def _silent(line: str) -> None:
    """Every cell's training reads the same text and says the same about it."""


def _order(row: Any) -> bool:
    return row.name == "unigram"  # the weakest one last


def main() -> None:
    """Read a plan on standard input; write a survey, or why there is none, to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the program that asks says what happened
    try:
        with kept_clean():
            told = _survey(Plan.read(json.load(sys.stdin))).table()
    except CharRNNError as error:
        told = {"refused": str(error), "usage": isinstance(error, UsageError)}
    say_json(told)


if __name__ == "__main__":
    main()
