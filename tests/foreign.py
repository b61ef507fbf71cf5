"""Modules from directories that come and go, as those of plugins that a test writes."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def forgotten(*roots: Path) -> Iterator[None]:
    """Forget what is imported in between from beneath these directories: others have that name."""
    before, beneath = set(sys.modules), tuple(f"{root}/" for root in roots)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(beneath):
                del sys.modules[name]
        importlib.invalidate_caches()
