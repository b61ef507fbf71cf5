"""A watch over processes that train together: when one is lost, all others end, and say which.

Whoever waits for a process that is gone would wait for half an hour, and jax, which notices some
such things itself, ends a process with a C++ trace. So every process has a connection to the
leader, over which it says twice a second and more that it lives, and with what it ends. Nothing
else goes over it, and it decides nothing but when to end.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from charrnn_core.terminal import say

LOST = 1
"""The exit code of a process that ends because of another."""

_BEATS = 4
"""How often a process says that it lives before it counts as lost."""

_TOKEN_BYTES = 16
_PATIENCE = 60.0


class Watch:
    """The connections of one process: of the leader to all others, of another to the leader.

    Arguments:
        me, count: the number of this process, and how many there are.
        heartbeat: after so many seconds of silence a process counts as lost.
        remedy: returns what a user can do then, as the end of a line.

    Messages are lines. An empty one says that its sender lives, ``end CODE TEXT`` that it ends, so
    all others have to, with that exit code and after that text if there is any; ``bye`` that it has
    done all it had to.
    """

    def __init__(self, me: int, count: int, heartbeat: float, remedy: Callable[[], str]) -> None:
        self._me, self._count, self._heartbeat, self._remedy = me, count, heartbeat, remedy
        self._connections: dict[int, socket.socket] = {}
        self._left: set[int] = set()
        self._ending, self._sending = threading.Lock(), threading.Lock()

    def listen(self, host: str) -> Callable[[], None]:
        """Open a port for the others; `address` says where. Returns what waits for them."""
        server = socket.create_server(("", 0), family=socket.AF_INET, backlog=self._count)
        token = secrets.token_hex(_TOKEN_BYTES)
        self.address = f"{host}:{server.getsockname()[1]}:{token}"

        def accept() -> None:
            threading.Thread(target=self._live, daemon=True).start()
            server.settimeout(_PATIENCE)
            while len(self._connections) < self._count - 1:
                connection, _ = server.accept()
                connection.settimeout(_PATIENCE)
                said, _, number = _line(connection).partition(" ")
                if said == token and number.isdecimal():
                    self._watch(int(number), connection)
                else:  # some other program
                    connection.close()
            server.close()

        return accept

    def connect(self, address: str) -> None:
        """Connect to the leader, which listens at that address."""
        host, port, token = address.rsplit(":", 2)
        connection = socket.create_connection((host, int(port)), _PATIENCE)
        connection.sendall(f"{token} {self._me}\n".encode())
        self._watch(0, connection)
        threading.Thread(target=self._live, daemon=True).start()

    def end(self, code: int, text: str, shown: str | None = None) -> NoReturn:
        """Tell all others that this process ends, print a line, and end it. Does not return.

        Arguments:
            code: the exit code of all.
            text: what the others print; nothing if it is empty.
            shown: what this process prints, if that is something else.
        """
        with self._ending:  # the first reason counts; it ends the process before it lets go
            line = " ".join(text.split())
            for other in self._connections:
                self._send(other, f"end {code} {line}\n")
            if shown := (line if shown is None else shown):
                with contextlib.suppress(Exception):  # the terminal may be gone
                    say(shown, err=True)
            os._exit(code)

    def leave(self) -> None:
        """Say that this process has done all it had to, and wait until all others have."""
        if self._me:
            self._send(0, "bye\n")
        while self._left != set(self._connections):
            time.sleep(0.01)
        if not self._me:  # of which the others hear only now
            for other in self._connections:
                self._send(other, "bye\n")

    def _watch(self, other: int, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self._heartbeat)
        self._connections[other] = connection
        listen = threading.Thread(target=self._listen, args=(other, connection), daemon=True)
        listen.start()

    def _live(self) -> None:
        while True:
            for other in list(self._connections):
                self._send(other, "\n")
            time.sleep(min(0.5, self._heartbeat / _BEATS))

    def _send(self, other: int, line: str) -> None:
        with self._sending, contextlib.suppress(OSError):  # who listens to it finds out
            self._connections[other].sendall(line.encode())

    def _listen(self, other: int, connection: socket.socket) -> None:
        """Hear what another process says, until it has left."""
        name = f"process {other} of {self._count}"
        silent = f"{name} has not answered for {self._heartbeat:g} seconds"
        with contextlib.suppress(OSError):
            for line in _lines(connection):
                if line is None:
                    self.end(LOST, f"Error: {silent}; {self._remedy()}")
                said, _, rest = line.partition(" ")
                if said == "bye":
                    self._left.add(other)
                elif said == "end":
                    code, _, text = rest.partition(" ")
                    self.end(int(code), text)
        if other not in self._left:
            self.end(LOST, f"Error: {name} has ended without a word; {self._remedy()}")


def _lines(connection: socket.socket) -> Iterator[str | None]:
    """Yield lines as they come, None if none comes in time, and end with the connection."""
    rest = b""
    while True:
        try:
            got = connection.recv(4096)
        except TimeoutError:
            yield None
            return
        if not got:
            return
        *lines, rest = (rest + got).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


def _line(connection: socket.socket) -> str:
    """Read the first line that a stranger sends, at most a hundred bytes of it."""
    got = b""
    with contextlib.suppress(OSError):
        while not got.endswith(b"\n") and len(got) < 100 and (byte := connection.recv(1)):
            got += byte
    return got.decode(errors="replace").strip()
