"""A terminal for a command to print in."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios


def in_terminal(*arguments: str, columns: int, **env: str) -> str:
    """What a command prints in a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn_core", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**clean, "TERM": "xterm", **env},
    )  # fmt: skip
    os.close(theirs)
    read = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not piece:
            break
        read += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0, read
    return read.decode()
