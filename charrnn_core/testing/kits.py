"""The kit of every kind of plugin, and how to run one."""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from charrnn_core.errors import UnknownNameError
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.registry import Registry
from charrnn_core.testing import kit
from charrnn_core.testing.kit import CheckFailed, Kit, Outcome


def kit_of(kind: str) -> Kit:
    """Return the kit of a kind: the ``KIT`` of the module here that is called like its hook.

    Raises:
        UnknownNameError: the kind does not exist.

    >>> kit_of("loss").subject.__name__
    'LossSubject'
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of plugin", kind, KINDS)
    return importlib.import_module(f"charrnn_core.testing.{KINDS[kind].plural()}").KIT


def checks(kind: str) -> dict[str, str]:
    """Return the names of a kind's checks, each with what it checks.

    Raises:
        UnknownNameError: the kind does not exist.

    >>> checks("cell")["causality"]
    'Changing the input at step t changes no output before t.'
    """
    return {kit.name_of(check): kit.about(check) for check in kit_of(kind).checks}


def check(
    kind: str,
    component: Any,
    *,
    only: Iterable[str] = (),
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Iterator[Outcome]:
    """Run a kit and yield the outcome of each check as soon as it is known.

    Arguments:
        kind: such as ``"cell"``.
        component: a spec such as ``"elman:64"``, or what the target of such a plugin returns (for
            a source, the target itself).
        only: names of checks; all if none are given.
        expected_failures: names of checks that fail, each with the reason.
        registry: where to look names up; by default the plugins installed.

    Raises:
        UnknownNameError: the kind, the component or a check does not exist.

    >>> [outcome.status for outcome in check("cell", "elman", only=["carry-is-fixed"])]
    ['passed']
    """
    chosen = kit.select(kit_of(kind).checks, only, expected_failures or ())
    subject = kit_of(kind).subject.of(kind, component, registry)
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
check_recipe = partial(_require, "recipe")
check_sampler = partial(_require, "sampler")
check_source = partial(_require, "source")
