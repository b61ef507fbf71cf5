"""The kit of every kind of plugin, and how to run one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from charrnn_core.errors import UnknownNameError
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.registry import Registry
from charrnn_core.testing import kit
from charrnn_core.testing.cell.contract import CONTRACT
from charrnn_core.testing.cell.learning import LEARNING
from charrnn_core.testing.cell.subject import CellSubject
from charrnn_core.testing.kit import Check, CheckFailed, Outcome
from charrnn_core.testing.losses import LOSSES, LossSubject
from charrnn_core.testing.observers import OBSERVERS, ObserverSubject
from charrnn_core.testing.optimizers import OPTIMIZERS, OptimizerSubject
from charrnn_core.testing.registration import REGISTRATION
from charrnn_core.testing.samplers import SAMPLERS, SamplerSubject
from charrnn_core.testing.sources import SOURCES, SourceSubject
from charrnn_core.testing.subject import Subject


@dataclass(frozen=True)
class Kit:
    """What is checked of a kind of plugin.

    Arguments:
        subject: what its checks look at.
        checks: functions of such a subject.
    """

    subject: type[Subject]
    checks: tuple[Check, ...]


KITS = {
    "source": Kit(SourceSubject, REGISTRATION + SOURCES),
    "cell": Kit(CellSubject, REGISTRATION + CONTRACT + LEARNING),
    "loss": Kit(LossSubject, REGISTRATION + LOSSES),
    "sampler": Kit(SamplerSubject, REGISTRATION + SAMPLERS),
    "optimizer": Kit(OptimizerSubject, REGISTRATION + OPTIMIZERS),
    "observer": Kit(ObserverSubject, REGISTRATION + OBSERVERS),
}
"""The kits, by kind."""


def checks(kind: str) -> dict[str, str]:
    """The names of a kind's checks, each with what it checks.

    Raises:
        UnknownNameError: there is no such kind.

    >>> checks("cell")["causality"]
    'Changing the input at step t changes no output before t.'
    """
    return {kit.name_of(check): kit.about(check) for check in _kit(kind).checks}


def check(
    kind: str,
    component: Any,
    *,
    only: Iterable[str] = (),
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Iterator[Outcome]:
    """Run a kit and give the outcome of each check as soon as it is there.

    Arguments:
        kind: such as ``"cell"``.
        component: a spec such as ``"elman:64"``, or what the target of such a plugin returns (for
            a source, the target itself).
        only: names of checks; all if none are given.
        expected_failures: names of checks that fail, each with the reason.
        registry: where to look names up; what is installed by default.

    Raises:
        UnknownNameError: there is no such kind, component or check.

    >>> [outcome.status for outcome in check("cell", "elman", only=["carry-is-fixed"])]
    ['passed']
    """
    chosen = kit.select(_kit(kind).checks, only, expected_failures or ())
    subject = _kit(kind).subject.of(kind, component, registry)
    return kit.run_checks(chosen, subject, expected_failures)


def _require(kind: str, component: Any, **settings: Any) -> list[Outcome]:
    """Run a kit to its end.

    Arguments:
        kind, component, settings: as for `check`.

    Returns:
        All outcomes.

    Raises:
        CheckFailed: some checks failed; the message has a line for each.
    """
    outcomes = list(check(kind, component, **settings))
    if bad := [f"{outcome.check}: {outcome.message}" for outcome in outcomes if not outcome.good]:
        raise CheckFailed("\n".join(bad))
    return outcomes


check_cell = partial(_require, "cell")
check_loss = partial(_require, "loss")
check_observer = partial(_require, "observer")
check_optimizer = partial(_require, "optimizer")
check_sampler = partial(_require, "sampler")
check_source = partial(_require, "source")


def _kit(kind: str) -> Kit:
    if kind not in KITS:
        raise UnknownNameError("kind of plugin", kind, KINDS)
    return KITS[kind]
