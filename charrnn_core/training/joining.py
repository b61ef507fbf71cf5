"""How processes that train together find each other: by an address, or by who has started them."""

import socket
from dataclasses import dataclass
from typing import Any

import jax

from charrnn_core.console.process_options import LAUNCHERS
from charrnn_core.errors import DeviceError, OptionError, UnknownNameError, shown

_BEFORE_OURS = 10
"""How many heartbeats jax waits for a process: it ends this one without a word about the other."""


@dataclass(frozen=True, kw_only=True)
class Joining:
    """How processes find each other.

    Arguments:
        coordinator: ``HOST:PORT``, where the leader, process 0, listens.
        count, number: how many processes there are, and which this is, from 0.
        launcher: who has started them, one of `LAUNCHERS`, instead of those three.
        heartbeat: after so many seconds of silence a process counts as lost.
    """

    coordinator: str | None = None
    count: int | None = None
    number: int | None = None
    launcher: str | None = None
    heartbeat: float = 20.0

    def __post_init__(self) -> None:
        if self.launcher not in (None, *LAUNCHERS):
            raise UnknownNameError("launcher", self.launcher, LAUNCHERS)
        explicit = (self.coordinator, self.count, self.number)
        if self.launcher is None and None in explicit:
            raise OptionError(
                "to work with other processes, all of --coordinator HOST:PORT, --num-processes N "
                "and --process-id I are needed, or --distributed under a launcher that sets them"
            )
        if self.launcher is not None and explicit != (None, None, None):
            raise OptionError(
                "--distributed asks the launcher for what --coordinator, --num-processes and "
                "--process-id say; leave out the one or the others"
            )
        if self.count is not None and self.number is not None:
            if not 0 <= self.number < self.count:
                raise OptionError(
                    f"process id is {self.number}; expected 0 to {self.count - 1}, since there are "
                    f"{self.count} processes"
                )
        host, _, port = (self.coordinator or "host:1").rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise OptionError(
                f"coordinator is {shown(self.coordinator)}; expected HOST:PORT, such as "
                "10.0.0.1:12345"
            )
        if not self.heartbeat >= 1:
            raise OptionError(f"heartbeat is {self.heartbeat:g}; expected 1 second or more")


def initialized(joining: Joining) -> Any:
    """Join jax's own runtime; return what it knows of the processes."""
    # It would keep SIGTERM to itself.
    jax.config.update("jax_enable_preemption_service", False)
    how: dict[str, Any] = {}
    if joining.launcher not in (None, "auto"):
        how["cluster_detection_method"] = joining.launcher
    try:
        jax.distributed.initialize(
            joining.coordinator,
            joining.count,
            joining.number,
            heartbeat_timeout_seconds=int(_BEFORE_OURS * joining.heartbeat),
            **how,
        )
    except (RuntimeError, ValueError) as error:
        where = joining.coordinator or f"the launcher ({joining.launcher})"
        raise DeviceError(
            f"cannot join the other processes at {where}: {str(error).splitlines()[0]}; "
            "expected all of them to be started at about the same time, with the same address"
        ) from error
    from jax._src import distributed  # its store works before devices are known; nothing public has

    return distributed.global_state


def host_of(coordinator: str | None) -> str:
    """Return the host of an address, or this one's name.

    >>> host_of("10.0.0.1:12345")
    '10.0.0.1'
    """
    return (coordinator or "").rpartition(":")[0] or socket.gethostname()
