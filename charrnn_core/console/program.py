"""How to call charrnn from here, so that a command in a message can be pasted."""

import functools
import os
import shlex
import shutil
import sys
import time
from pathlib import Path

STARTED = time.monotonic()
"""When this program started, by the clock that a budget in minutes is measured with."""


def command(*arguments: object) -> str:
    """Return a charrnn command line, quoted for a shell in the current directory.

    >>> command("sample", "my run").endswith("charrnn sample 'my run'")
    True
    """
    return f"{_program()} {shlex.join(map(str, arguments))}"


@functools.cache
def _program() -> str:
    """Return ``charrnn`` if the shell finds this one, else its path, else ``python -m ...``."""
    script = Path(sys.executable).with_name("charrnn")
    found = shutil.which("charrnn")
    if not script.exists():
        return "charrnn" if found else f"{shlex.quote(sys.executable)} -m charrnn_core"
    if found and os.path.samefile(found, script):
        return "charrnn"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
