"""Conformance kits: what charrnn expects of a plugin, as checks that anybody can run.

Three ways to use them. In a terminal: ``charrnn check cell mycell``. In a program, `check` yields
outcomes, and `check_cell` and the like raise if a check fails. In a test suite, one test each::

    from charrnn_core.testing import parametrize_checks

    @parametrize_checks("cell", "mycell", expected_failures={"copies-over-ten-steps": "no memory"})
    def test_mycell(check):
        check()
"""

from charrnn_core.testing.kit import Check, CheckFailed, NotApplicable, Outcome, fail
from charrnn_core.testing.kits import (
    check,
    check_cell,
    check_loss,
    check_observer,
    check_optimizer,
    check_recipe,
    check_sampler,
    check_source,
    checks,
)
from charrnn_core.testing.parametrize import parametrize_checks

__all__ = [
    "Check",
    "CheckFailed",
    "NotApplicable",
    "Outcome",
    "check",
    "check_cell",
    "check_loss",
    "check_observer",
    "check_optimizer",
    "check_recipe",
    "check_sampler",
    "check_source",
    "checks",
    "fail",
    "parametrize_checks",
]
