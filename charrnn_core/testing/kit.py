"""Checks of a component, run one by one, each with an outcome of its own.

A check is a function of a *subject*, the component with what is needed to try it. Its name is the
check's name and the first line of its docstring says what is checked. It returns figures worth
showing (or None), or raises `CheckFailed` with what is wrong, the numbers, and what to change.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

from charrnn_core.blame import place_of, told
from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import CharRNNError, UnknownNameError
from charrnn_core.testing.subject import Subject

Check: TypeAlias = Callable[[Any], str | None]

Status: TypeAlias = Literal["passed", "failed", "skipped", "expected", "unexpected", "not run"]


@dataclass(frozen=True)
class Kit:
    """The checks for one kind of plugin.

    Arguments:
        subject: what its checks look at.
        checks: functions of such a subject.
    """

    subject: type[Subject]
    checks: tuple[Check, ...]


class CheckFailed(AssertionError):
    """A component breaks its contract."""


class NotApplicable(Exception):  # noqa: N818  # it is not an error
    """A check does not apply to this component."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Arguments:
        check: its name.
        about: what it checks.
        status: ``passed``, ``failed``, ``skipped`` (it does not apply), ``expected`` (it failed, as
            was declared), ``unexpected`` (it passed although a failure was declared) or ``not run``
            (an earlier one failed because the component cannot be used at all).
        message: figures, or what is wrong.
        seconds: how long it took.
    """

    check: str
    about: str
    status: Status
    message: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing needs to be done about it."""
        return self.status not in ("failed", "unexpected")


def needs_no_use(check: Check) -> Check:
    """Mark a check that needs only the registration, and so runs even if nothing else can.

    >>> needs_no_use(lambda subject: None).needs_no_use
    True
    """
    check.needs_no_use = True  # type: ignore[attr-defined]  # functions may have attributes
    return check


def name_of(check: Check) -> str:
    """Return the name of a check.

    >>> def rows_are_independent(subject): ...
    >>> name_of(rows_are_independent)
    'rows-are-independent'
    """
    return getattr(check, "__name__", repr(check)).replace("_", "-")


def about(check: Check) -> str:
    """Return what a check checks: the first line of its docstring."""
    return (check.__doc__ or "").strip().partition("\n")[0]


def fail(wrong: str, change: str) -> NoReturn:
    """Raise `CheckFailed`.

    Arguments:
        wrong: what is wrong, with the numbers.
        change: what the author can do.
    """
    raise CheckFailed(f"{wrong}; {change}")


def select(
    kit: Iterable[Check], only: Iterable[str] = (), expected_failures: Iterable[str] = ()
) -> list[Check]:
    """Return the checks named in `only`, or all.

    Raises:
        UnknownNameError: a check does not exist.
    """
    by_name = {name_of(check): check for check in kit}
    for name in (*only, *expected_failures):
        if name not in by_name:
            raise UnknownNameError("check", name, by_name)
    wanted = list(only) or list(by_name)
    return [check for name, check in by_name.items() if name in wanted]


def run_checks(
    checks: Iterable[Check], subject: Any, expected_failures: Mapping[str, str] | None = None
) -> Iterator[Outcome]:
    """Run checks and yield the outcome of each as soon as it is known.

    Arguments:
        checks: functions of the subject.
        subject: the component, see the modules beside this one.
        expected_failures: names of checks that may fail, with the reason.

    >>> def is_positive(number):
    ...     '''It is more than zero.'''
    ...     if number <= 0:
    ...         fail(f"{number} is not positive", "use its absolute value")
    >>> [outcome.message for outcome in run_checks([is_positive], -3)]
    ['-3 is not positive; use its absolute value']
    """
    reasons, useless = expected_failures or {}, ""
    for check in checks:
        if useless and not _needs_no_use(check):
            yield Outcome(name_of(check), about(check), "not run", f"{useless} failed", 0.0)
            continue
        started = time.perf_counter()
        status, message, told = _run(check, subject)
        if (reason := reasons.get(name_of(check))) is not None:
            if status == "failed":
                status, message = "expected", f"{reason} ({message})"
            elif status == "passed":
                status = "unexpected"
                message = (
                    f"it passes although a failure was expected ({reason}): remove that expectation"
                )
        elif status == "failed" and not _needs_no_use(check):
            if (line := _why_it_cannot_be_used(subject)) is not None:
                useless, message = name_of(check), message if told else line
        seconds = time.perf_counter() - started
        yield Outcome(name_of(check), about(check), status, message, seconds)


def _run(check: Check, subject: Any) -> tuple[Status, str, bool]:
    """Return the outcome of a check, and whether the check itself found the fault."""
    try:
        with kept_clean():
            return "passed", check(subject) or "", True
    except NotApplicable as reason:
        return "skipped", str(reason), True
    except CheckFailed as failure:
        return "failed", str(failure), True
    except Exception as error:  # whatever a plugin raises is an outcome, not an end
        return "failed", str(error) if isinstance(error, CharRNNError) else _raised(error), False


def _raised(error: Exception) -> str:
    where = place_of(error)
    return f"it raises {told(error)}" + (f" at {where}" if where else "")


def _needs_no_use(check: Check) -> bool:
    return getattr(check, "needs_no_use", False)


def _why_it_cannot_be_used(subject: Any) -> str | None:
    """Return in one line what goes wrong when a component is used once, or None."""
    try:
        getattr(subject, "try_out", lambda: None)()
    except Exception as error:  # whatever a plugin raises is an answer
        return str(error) if isinstance(error, CheckFailed | CharRNNError) else _raised(error)
    return None
