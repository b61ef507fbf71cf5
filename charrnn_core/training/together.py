"""This process among those that train together, over jax's own distributed runtime."""

import contextlib
import json
import os
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from charrnn_core.errors import CharRNNError, OptionError, TrainingError, shown
from charrnn_core.files.atomic import explained, write_atomically
from charrnn_core.files.checkpoint import Checkpoint, load_checkpoint
from charrnn_core.files.regular import own
from charrnn_core.network.mesh import data_mesh, fetched, spread
from charrnn_core.sharing import AXIS
from charrnn_core.signals import Interrupt
from charrnn_core.terminal import say
from charrnn_core.training.joining import Joining, host_of, initialized
from charrnn_core.training.watch import LOST, Watch

_TICK = struct.Struct("<dqq")
_SIZE, _NUMBER = struct.Struct("<q"), struct.Struct("<d")
_ADDRESS = "charrnn/watch"
_DEVICES = "charrnn/devices"
_PATIENCE_MS = 600_000
_A_MOMENT = 0.5
"""How long the others wait before they tell an error: what all find wrong, the leader tells."""

_A_LITTLE = 3.0
"""How long a process that lost another waits to hear which."""


class Together:
    """This process among those that train together.

    It is what `charrnn_core.training.processes.Processes` asks for; `remedy` is the end of a line
    that says that one is lost.

    Arguments:
        joining: how they find each other.

    Raises:
        DeviceError: they do not find each other.
    """

    def __init__(self, joining: Joining) -> None:
        self.remedy = "start all of them again"
        client = initialized(joining)
        self.has_others = client.num_processes > 1
        self._number, self._count = client.process_id, client.num_processes
        self._store, self.leads = client.client, client.process_id == 0
        self._now, self._code, self._connected = 0.0, 0, False
        self._watch = Watch(self._number, self._count, joining.heartbeat, lambda: self.remedy)
        self.interrupt = _Signals(self._watch, self.leads)
        self.interrupt.on_start(None)
        if self.leads:
            accept = self._watch.listen(host_of(client.coordinator_address))
            self._store.key_value_set(_ADDRESS, self._watch.address)
            accept()
        else:
            self._watch.connect(self._store.blocking_key_value_get(_ADDRESS, _PATIENCE_MS))

    def share(self, shards: int | None) -> None:
        """Prepare for a run that is cut into so many shards, which the leader knows.

        Raises:
            OptionError: the processes cannot have equally many of them.
        """
        if self.leads:
            self._store.key_value_set(_DEVICES, str(shards or 0))
        shards = int(self._store.blocking_key_value_get(_DEVICES, _PATIENCE_MS))
        if shards % self._count:
            raise OptionError(
                f"shards is {shards}; expected a multiple of {self._count}, the number of processes"
            )
        told: Any = jax.config  # its attributes are made when they are defined
        if shards // self._count > max(1, told.jax_num_cpu_devices):
            jax.config.update("jax_num_cpu_devices", shards // self._count)
        self.agree(0)

    def clock(self) -> float:
        """Return the leader's clock as they have last agreed, the same everywhere."""
        return self._now

    def agree(self, step: int) -> None:
        """Read the leader's clock, and hear of signals.

        Raises:
            TrainingError: the processes are not at the same update.
        """
        mine = _TICK.pack(time.monotonic(), step, self.interrupt.code)
        told = [_TICK.unpack(each) for each in self._gathered(mine)]
        self._now, self._code = told[0][0], max(code for _, _, code in told)
        steps = [step for _, step, _ in told]
        if len(set(steps)) > 1:
            raise TrainingError(
                f"the processes are about to make different updates, up to {steps}; this is a bug "
                "of charrnn: please report it; the last checkpoint is good"
            )

    def own_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        del clock
        return time.monotonic

    def stops(self, asked: Callable[[], bool]) -> bool:
        del asked
        return self._code != 0

    @property
    def exit_code(self) -> int:
        """What a shell expects after the signal that ended training; 0 if there was none."""
        return self._code

    def of_leader(self, number: float) -> float:
        return _NUMBER.unpack(self._gathered(_NUMBER.pack(number))[0])[0]

    def told(self, data: bytes | None) -> bytes:
        size = int(self.of_leader(float(len(data or b""))))
        padded = np.zeros(1 << max(10, (size - 1).bit_length()), np.uint8)  # few programs do
        padded[: len(data or b"")] = np.frombuffer(data or b"", np.uint8)
        return multihost_utils.broadcast_one_to_all(padded)[:size].tobytes()

    def checkpoint(self, read: tuple[Path, Checkpoint] | None) -> Checkpoint:
        if read is not None:
            with explained("read", read[0]), open(read[0], "rb", opener=own) as file:
                self.told(file.read())
            return read[1]
        with tempfile.TemporaryDirectory(prefix="charrnn-") as folder:
            path = Path(folder, "checkpoint.crn")
            write_atomically(path, [self.told(None)])
            return load_checkpoint(path)

    def demand_same(self, what: Mapping[str, object]) -> None:
        """Refuse to go on unless all pass the same.

        Raises:
            OptionError: one differs from the leader; the message has its name and both values.
        """
        mine = json.dumps(dict(what), sort_keys=True, default=str).encode()
        sizes = [
            struct.unpack("<q", each)[0] for each in self._gathered(struct.pack("<q", len(mine)))
        ]
        said = self._gathered(mine.ljust(-(-max(sizes) // 1024) * 1024))
        leader, *others = (json.loads(each) for each in said)
        for number, other in enumerate(others, start=1):
            for key in sorted(leader.keys() | other.keys()):
                if leader.get(key) != other.get(key):
                    raise OptionError(
                        f"{key} is {shown(leader.get(key))} for process 0 and "
                        f"{shown(other.get(key))} for process {number}; expected the same for all"
                    )

    def meet(self, shards: int) -> None:
        """Connect the devices that share the streams; training begins."""
        self.interrupt.training = True
        with _silent():
            by_shard = NamedSharding(data_mesh(shards), PartitionSpec(AXIS))
            fetched(spread(np.zeros(shards, np.float32), by_shard))

    def _gathered(self, mine: bytes) -> list[bytes]:
        """Return what each process passes, of the same length."""
        words = np.frombuffer(mine, np.uint8)
        with contextlib.nullcontext() if self._connected else _silent():
            told = multihost_utils.process_allgather(words)
        self._connected = True
        return [each.tobytes() for each in told]

    def leave(self) -> None:
        """End in good order, once all have done what they had to."""
        self.interrupt.training = False
        if self.interrupt.code > self._code:  # it came too late for all to agree on it
            self._watch.end(self.interrupt.code, "")
        self._watch.leave()
        self.interrupt.on_end(None)
        jax.distributed.shutdown()

    def fail(self, error: BaseException, debug: bool) -> NoReturn:
        """End all processes because of an error of this one. Does not return."""
        code, line = LOST, f"{type(error).__name__}: {error}"
        if isinstance(error, CharRNNError):
            code, line = error.exit_code, str(error)
            if not self.leads:
                time.sleep(_A_MOMENT)
        elif isinstance(error, KeyboardInterrupt):
            code, line = 130, ""
        elif isinstance(error, (jax.errors.JaxRuntimeError, ValueError)) and "Gloo" in line:
            time.sleep(_A_LITTLE)  # whoever watches knows more, and ends this process
            line = f"lost contact with another process: {line}"
        else:
            debug = True
        if debug:
            traceback.print_exception(error)
        here = f"process {self._number} of {self._count}"
        mine = f"Error: {line}" if self.leads else f"Error: {here}: {line}"
        told = f"Error: {here} has ended: {line}; {self.remedy}"
        self._watch.end(code, told if line else "", mine if line else "")


class _Signals(Interrupt):
    """Signals to one of the processes: before and after training they end all at once.

    During training the first one stops all after a device call, and the second ends this process.
    """

    def __init__(self, watch: Watch, prints: bool) -> None:
        super().__init__(lambda line: say(line, err=True) if prints else None)
        self._watcher, self.training = watch, False

    @property
    def code(self) -> int:
        return self.exit_code if self() else 0

    def take(self, number: int) -> None:
        if not self.training:
            self._watcher.end(128 + number, "")
        super().take(number)


@contextlib.contextmanager
def joined(joining: Joining, debug: bool = False) -> Iterator[Together]:
    """Join the other processes. Whatever the block raises ends all of them.

    Arguments:
        joining: how they find each other.
        debug: whether to show the traceback of an error.

    Raises:
        DeviceError: they do not find each other.
    """
    together = Together(joining)
    try:
        yield together
    except SystemExit:
        together.leave()
        raise
    except BaseException as error:
        together.fail(error, debug)
    together.leave()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep off standard output what gloo says there when processes connect."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
