"""``charrnn check``: a plugin's kit as a card of passes and failures; whether resuming is exact."""

import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from charrnn_core.console.process_options import PROCESS_OPTIONS
from charrnn_core.devices import use_every_core
from charrnn_core.registry.descriptors import KINDS
from charrnn_core.registry.listing import describe_plugin
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.settings import read_typed
from charrnn_core.terminal import aligned, say, say_json

if TYPE_CHECKING:
    from charrnn_core.testing import Outcome

# What checks is imported inside the command: it needs jax, and --help must not.

_SIGNS = {
    "passed": "ok",
    "failed": "FAILED",
    "skipped": "-",
    "expected": "xfail",
    "unexpected": "XPASS",
}


class Checks(click.Group):
    """A command with sub-commands: ``check KIND NAME``, and beside it ``check resume``."""

    allow_extra_args = False
    allow_interspersed_args = True

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args and args[0] in self.commands:
            command = self.get_command(click.Context(self), args[0])
            assert command is not None
            return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def _kinds_and_commands(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    return [word for word in (*KINDS, *check.commands) if word.startswith(begun)]


@click.command(
    cls=Checks, invoke_without_command=True, subcommand_metavar="",
    epilog=f"KIND is {', '.join(KINDS)}.",
)  # fmt: skip
@click.argument("kind", metavar="KIND", shell_complete=_kinds_and_commands)
@click.argument("name", metavar="NAME[:ARGUMENT]")
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Run only this check; may be repeated."
)
@click.option(
    "--expect-failure", "expected", multiple=True, metavar="CHECK=REASON",
    help="Expect this check to fail, for this reason; may be repeated.",
)  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="List the checks without running them.")
@click.option(
    "--performance/--no-performance", default=True, help="Measure the speed too, if it is a cell."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(
    kind: str,
    name: str,
    only: tuple[str, ...],
    expected: tuple[str, ...],
    listing: bool,
    performance: bool,
    as_json: bool,
) -> None:
    """Check that a plugin does what charrnn expects.

    The exit code is 1 if a check fails.
    """
    began = time.monotonic()
    if not listing:
        describe_plugin(kind, Ref.parse(name).use)  # reports a wrong name before jax is imported
    from charrnn_core import testing

    if listing:
        found = testing.checks(kind)
        if as_json:
            say_json(found)
        else:
            say("\n".join(aligned(list(found.items()))))
        return
    reasons = {check: reason for check, _, reason in (item.partition("=") for item in expected)}
    outcomes = []
    for outcome in testing.check(kind, name, only=only, expected_failures=reasons):
        outcomes.append(outcome)
        if not as_json and outcome.status != "not run":
            say(line(outcome))
    good = all(outcome.good for outcome in outcomes)
    table: dict[str, Any] = {"kind": kind, "name": name, "passed": good}
    table["checks"] = [dataclasses.asdict(outcome) for outcome in outcomes]
    useless = any(outcome.status == "not run" for outcome in outcomes)
    if kind == "cell" and performance and not only and not useless:
        table["performance"] = _performance(name, as_json)
    if kind == "cell" and not only and not useless:
        from charrnn_check.exporting import why_not_exported

        table["cannot_be_exported"] = reason = why_not_exported(name)
        if not as_json:
            say(f"can be exported to a page: {'yes' if reason is None else f'no: {reason}'}")
    took = time.monotonic() - began
    if as_json:
        say_json(table)
    else:
        say(verdict(outcomes, took))
    sys.exit(0 if good else 1)


class AsRun(click.Command):
    """A command with the options of ``charrnn run`` that say what to train."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        root = ctx.find_root()
        assert isinstance(root.command, click.Group)
        own, run = super().get_params(ctx), root.command.get_command(root, "run")
        left_out = {*_OF_A_RUN_DIRECTORY, *PROCESS_OPTIONS, *(param.name for param in own)}
        theirs = run.get_params(ctx) if run else []
        return [*(param for param in theirs if param.name not in left_out), *own]


_OF_A_RUN_DIRECTORY = ("out", "or_resume", "from_first_update", "self_check_resume")


@check.command(cls=AsRun)
def resume(**given: Any) -> None:
    """Check that resuming a run is exact.

    Trains for a few updates in one go, and again with a stop in the middle, and compares every
    bit. The options are those of charrnn run. The exit code is 1 if a bit differs.
    """
    settings = read_typed(given).resolve()  # reports a wrong name before jax is imported
    use_every_core(least=settings.shards or 1)
    from charrnn_check.resume import check_resume

    verdict = check_resume(settings)
    say("\n".join(verdict.lines()))
    sys.exit(0 if verdict.exact else 1)


def line(outcome: "Outcome") -> str:
    """Return one row of the card.

    >>> from charrnn_core.testing import Outcome
    >>> line(Outcome("causality", "", "passed", "", 0.25))
    'ok      causality                 0.2 s'
    """
    row = f"{_SIGNS[outcome.status]:6}  {outcome.check:24} {outcome.seconds:4.1f} s"
    return f"{row}  {outcome.message}" if outcome.message else row


def verdict(outcomes: "list[Outcome]", seconds: float) -> str:
    """Return the last line of the card; `seconds` is the total time.

    >>> from charrnn_core.testing import Outcome
    >>> rows = [Outcome("pure", "", "passed", "", 2.0), Outcome("scan", "", "skipped", "", 0.0)]
    >>> verdict(rows[:1], 3.0), verdict(rows, 3.0)
    ('all 1 checks passed in 3 s', '1 checks passed, 1 does not apply, in 3 s')
    """
    bad = [outcome.check for outcome in outcomes if not outcome.good]
    not_run = [outcome.check for outcome in outcomes if outcome.status == "not run"]
    idle = sum(outcome.status == "skipped" for outcome in outcomes)
    tried = len(outcomes) - idle - len(not_run)
    rest = f", {idle} {'does' if idle == 1 else 'do'} not apply," if idle else ""
    took = f"in {seconds:.0f} s"
    if bad:
        more = f"; {len(not_run)} not run because of that: {', '.join(not_run)}" if not_run else ""
        return f"{len(bad)} of {tried} checks failed{rest} {took}: {', '.join(bad)}{more}"
    return f"{'' if idle else 'all '}{tried} checks passed{rest} {took}"


def _performance(name: str, quiet: bool) -> list[dict[str, Any]]:
    """Measure a cell's speed beside its rivals', and print it unless `quiet`."""
    from charrnn_check.performance import (
        compare_performance,
        performance_lines,
        performance_table,
    )
    from charrnn_core.console.stdout import kept_clean
    from charrnn_core.network.explain import explain_cell, lines
    from charrnn_core.testing.cell.subject import CellSubject

    with kept_clean():
        subject = CellSubject.of("cell", name)
        rows = list(compare_performance(subject))
        explained = [] if quiet else lines(explain_cell(subject.ref, subject.registry))
    if not quiet:
        say("\n".join(["", *explained, "", *performance_lines(rows), ""]))
    return performance_table(rows)
