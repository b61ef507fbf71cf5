"""Which of the models of a run one is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Chosen:
    """Which of the models of a run one is, and which there are.

    Arguments:
        step: the update that it is from.
        last, best: the updates of the run's last model and of the one with the least held-out loss;
            None if that is not known.
        evaluations: how many evaluations the best one was chosen from.

    >>> print(Chosen(1964, last=2461, best=1964, evaluations=10))
    update 1,964, the best of 10 evaluations
    >>> print(Chosen(2461, last=2461, best=1964, evaluations=10))
    update 2,461, the last
    """

    step: int
    last: int | None = None
    best: int | None = None
    evaluations: int | None = None

    @classmethod
    def of(cls, table: Mapping[str, Any], newest: Mapping[str, Any] | None) -> "Chosen":
        """Say which model the checkpoint with this table holds.

        Arguments:
            table: the checkpoint's table.
            newest: the table of the newest checkpoint of the run; None if the run is not known.
        """
        if newest is None:
            return cls(table["step"])
        loop = newest.get("loop")
        evaluations = loop.get("evaluations") if isinstance(loop, Mapping) else None
        return cls(
            table["step"],
            newest["step"],
            best_step(newest),
            evaluations if type(evaluations) is int else None,
        )

    @property
    def is_last(self) -> bool:
        """Whether no later model of its run is known."""
        return self.last in (None, self.step)

    def __str__(self) -> str:
        names = ["the last"] if self.step == self.last else []
        if self.step == self.best and (self.evaluations or 0) > 1:
            names.append(f"the best of {self.evaluations:,} evaluations")
        return ", ".join([f"update {self.step:,}", *filter(None, [" and ".join(names)])])

    def table(self) -> dict[str, int | None]:
        """Return the plain form, for JSON."""
        return asdict(self)


def best_step(table: Mapping[str, Any]) -> int | None:
    """Return the update after which a checkpoint's run had its least held-out loss, if it says so.

    >>> best_step({"loop": {"best_step": 80}}), best_step({"loop": {"best_step": None}})
    (80, None)
    """
    loop = table.get("loop")
    step = loop.get("best_step") if isinstance(loop, Mapping) else None
    return step if type(step) is int and step >= 0 else None
