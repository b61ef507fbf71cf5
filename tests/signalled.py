"""Commands that can be signalled: under ``nohup`` or in the background a child ignores signals."""

import sys

_PROGRAM = """
import os, signal, sys
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def signalled(*command: object) -> list[str]:
    """The command as one to which every signal means what it does by default.

    >>> signalled("/bin/true", 1)[-2:]
    ['/bin/true', '1']
    """
    return [sys.executable, "-c", _PROGRAM, *map(str, command)]
