"""A kit as tests of pytest: one test for each check."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from charrnn_core.registry.spec import Ref
from charrnn_core.testing.kit import Check, CheckFailed, name_of, run_checks, select
from charrnn_core.testing.kits import kit_of


def parametrize_checks(
    kind: str,
    *components: Any,
    only: Iterable[str] = (),
    expected_failures: Mapping[str, str] | None = None,
) -> Any:
    """Return a decorator that passes each check of each component to a test as ``check``.

    The test calls it. It raises `CheckFailed` with what is wrong, or skips the test if the check
    does not apply. A test's id is ``COMPONENT-CHECK``.

    Arguments:
        kind: such as ``"cell"``.
        components: specs such as ``"elman:64"``, or objects, see `charrnn_core.testing.check`.
        only: names of checks; all if none are given.
        expected_failures: names of checks that fail, each with the reason. They become strict
            ``xfail``: if such a check passes, the test fails.

    Raises:
        ImportError: pytest is not installed.
        UnknownNameError: the kind or a check does not exist.

    Example, a test module::

        @parametrize_checks("cell", "mycell", "stacked:mycell:8*2")
        def test_it_keeps_the_contract(check):
            check()
    """
    try:
        import pytest
    except ImportError as error:
        raise ImportError("parametrize_checks needs pytest: pip install pytest") from error
    reasons = expected_failures or {}
    kit = kit_of(kind)
    chosen = select(kit.checks, only, reasons)
    cases = []
    for component in components:
        subject = functools.cache(functools.partial(kit.subject.of, kind, component))
        for check in chosen:
            reason = reasons.get(name_of(check))
            cases.append(
                pytest.param(
                    functools.partial(_run_one, check, subject),
                    id=f"{_called(component)}-{name_of(check)}",
                    marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [],
                )
            )
    return pytest.mark.parametrize("check", cases)


def _called(component: Any) -> str:
    """Return the component's name in a test's id, the same in every process."""
    if isinstance(component, str | Mapping | Ref):
        return str(Ref.parse(component).table()["use"])
    return getattr(component, "__name__", type(component).__name__)


def _run_one(check: Check, subject: Callable[[], Any]) -> None:
    import pytest

    (outcome,) = run_checks([check], subject())
    if outcome.status == "skipped":
        pytest.skip(outcome.message)
    if not outcome.good:
        raise CheckFailed(outcome.message)
