"""What every plugin has to do, whatever its kind."""

import json
import os
import subprocess
import sys

from charrnn_core.errors import UnknownNameError
from charrnn_core.registry.options import describe_options, option_values, read_options
from charrnn_core.registry.provider import HEAVY
from charrnn_core.registry.spec import Ref
from charrnn_core.testing.kit import NotApplicable, fail, needs_no_use
from charrnn_core.testing.subject import Subject


@needs_no_use
def light_import(subject: Subject) -> None:
    """Importing the plugin's module does not import jax, flax, optax or numpy."""
    module = subject.registry.module(subject.provider)
    if subject.given or subject.provider.file or module is None:
        raise NotApplicable("it is not an installed plugin")
    code = (
        "import importlib, json, sys; importlib.import_module(sys.argv[1]); "
        "print('\\n' + json.dumps([name for name in sys.argv[2:] if name in sys.modules]))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(
        [sys.executable, "-c", code, module, *HEAVY], capture_output=True, text=True, env=environ
    )
    if ran.returncode:
        told = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
        fail(f"importing {module} fails: {told[-1]}", "fix that error")
    if heavy := json.loads(ran.stdout.splitlines()[-1]):
        fail(
            f"importing {module} imports {', '.join(heavy)}, which slows down every charrnn "
            "command",
            "move the code that needs it to a separate module and name that one in target, as in "
            "target='package.module:attribute'",
        )


@needs_no_use
def has_a_summary(subject: Subject) -> str:
    """It has a one-line summary."""
    return _summary(subject)


def _summary(subject: Subject) -> str:
    if subject.given:
        raise NotApplicable("it was given as an object")
    summary, who = subject.provider.plugin.summary, f"{subject.kind} {subject.ref.use!r}"
    if not summary.strip() or len(summary.splitlines()) > 1:
        fail(f"{who} has the summary {summary!r}", "give it a one-line summary for listings")
    return summary


@needs_no_use
def is_described(subject: Subject) -> str:
    """It has a summary, and every option has help and, if it is an integer, bounds."""
    summary, who = _summary(subject), f"{subject.kind} {subject.ref.use!r}"
    for option in describe_options(subject.provider.component.options):
        if not option["help"]:
            fail(
                f"option {option['name']!r} of {who} has no help",
                "declare it with opt(default, help='what it does')",
            )
        if option["type"] == "int" and not option["bounds"]:
            fail(
                f"option {option['name']!r} of {who} is an integer without bounds",
                "declare them, as in opt(default, help=..., ge=1), so that a wrong value is "
                "rejected with the option's name instead of failing inside jax",
            )
    return summary


@needs_no_use
def options_round_trip(subject: Subject) -> str:
    """Options are the same when written and read again, and an unknown one is rejected."""
    resolved = subject.registry.resolve(subject.kind, subject.ref)
    written = json.loads(json.dumps(resolved.table()))
    again = subject.registry.resolve(subject.kind, Ref.parse(written))
    if again.table() != resolved.table():
        fail(
            f"the options {written} become {again.table()} when read again",
            "make __post_init__ idempotent: leave values that it has already normalised unchanged",
        )
    values = option_values(subject.options())
    try:
        read_options(subject.provider.component.options, {**values, "no-such-option": 1})
    except UnknownNameError:
        return f"{len(values)} options"
    fail("an option that does not exist is accepted", "reject unknown option names")


REGISTRATION = (light_import, is_described, options_round_trip)
"""The checks that every component has to pass."""
