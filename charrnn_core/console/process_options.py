"""The options of every command that many processes can do together."""

import functools
import os
from collections.abc import Callable
from typing import Any

LAUNCHERS = ("auto", "slurm", "ompi", "mpi4py", "k8s")
"""Who may have started the processes; auto is the first of them that is found."""

_Decorator = Callable[[Callable[..., None]], Callable[..., None]]

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--coordinator", {"metavar": "HOST:PORT", "help": "Where process 0 listens."}),
    ("--num-processes", {"type": int, "metavar": "INT", "help": "How many work together."}),
    ("--process-id", {"type": int, "metavar": "INT", "help": "Which this is, from 0."}),
    (
        "--distributed",
        {
            "is_flag": False,
            "flag_value": "auto",
            "metavar": f"[{'|'.join(LAUNCHERS)}]",
            "help": "Work with the other processes of this launcher.",
        },
    ),
    (
        "--heartbeat",
        {
            "type": float,
            "metavar": "FLOAT",
            "help": "Seconds of silence after which a process counts as lost.  [default: 20]",
        },
    ),
)

PROCESS_OPTIONS = tuple(name.removeprefix("--").replace("-", "_") for name, _ in _OPTIONS)
"""The names of the options, as Python has them."""


def process_options(option: Callable[..., _Decorator]) -> _Decorator:
    """Give a command the options for working with other processes, as one dict, ``processes``.

    It has those of the arguments of `charrnn_core.training.joining.Joining` that were given.

    Arguments:
        option: ``click.option``.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def wrapped(
            *args: Any,
            coordinator: str | None,
            num_processes: int | None,
            process_id: int | None,
            distributed: str | None,
            heartbeat: float | None,
            **given: Any,
        ) -> None:
            how = {
                "coordinator": coordinator,
                "count": num_processes,
                "number": process_id,
                "launcher": distributed,
                "heartbeat": heartbeat,
            }
            how = {name: value for name, value in how.items() if value is not None}
            if how:  # before jax is imported: its C++ would tell, in many lines, who is lost
                os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            function(*args, processes=how, **given)

        command: Callable[..., None] = wrapped
        for name, how in reversed(_OPTIONS):
            command = option(name, **how)(command)
        return command

    return decorate
