"""pip, run on the environment of this interpreter, and what charrnn finds there afterwards."""

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from charrnn_core.errors import PluginError
from charrnn_core.registry.entrypoints import COMMANDS
from charrnn_install.distributions import installed

Component = dict[str, str]
"""One component on offer: ``kind``, ``name``, ``distribution``, ``version`` and ``status``."""

# Without -P the directory one is in would be searched first, also for a pip.py that lies there.
_PYTHON = (sys.executable, "-P", "-m")


def install(what: Sequence[str]) -> list[tuple[str, str]]:
    """Install distributions, with what they need.

    Arguments:
        what: arguments of ``pip install``.

    Returns:
        The name and version of each that was asked for and was not there yet.

    Raises:
        PluginError: pip is missing, or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        _run("install", what, "--report", str(report))
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    asked = [item["metadata"] for item in items if item["requested"]]
    return [(metadata["name"], metadata["version"]) for metadata in asked]


def uninstall(names: Sequence[str]) -> None:
    """Remove distributions, without a question.

    Raises:
        PluginError: pip is missing, or fails.
    """
    _run("uninstall", names, "--yes")


def _run(action: str, what: Sequence[str], *how: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise PluginError(f"this environment has no pip; run {_instead(action, what)}")
    # pip goes on where its lines are written, so ours must not wait in a buffer.
    sys.stdout.flush()
    pip = [*_PYTHON, "pip", "--disable-pip-version-check", action]
    code = subprocess.run([*pip, *how, *what]).returncode
    if code:
        raise PluginError(f"pip {action} failed with exit code {code}; its output is above")


def _instead(action: str, what: Sequence[str]) -> str:
    if shutil.which("uv"):
        return shlex.join(["uv", "pip", action, "--python", sys.executable, *what])
    return f"{shlex.join([sys.executable, '-m', 'ensurepip'])} and then this command again"


def components() -> list[Component]:
    """Return what charrnn offers, commands included, as a new process finds it.

    The environment's settings of charrnn are left aside: what they hide is there all the same.

    Raises:
        PluginError: a plugin breaks charrnn altogether.
    """
    environ = {key: text for key, text in os.environ.items() if not key.startswith("CHARRNN_")}
    asked = subprocess.run(
        [*_PYTHON, "charrnn_core", "plugins", "--json"],
        capture_output=True,
        text=True,
        env=environ,
    )
    try:
        rows = json.loads(asked.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        why = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        raise PluginError(f"charrnn plugins fails: {why}") from error
    keys = ("kind", "name", "distribution", "version", "status")
    commands: list[Component] = [
        dict(zip(keys, ("command", name, offer.name, offer.version, "ok"), strict=True))
        for offer in installed([COMMANDS])
        for name in offer.plugins
    ]
    return [{key: row[key] for key in keys} for row in rows] + commands
