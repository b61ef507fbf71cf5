"""Compiled programs, kept on disk for the next process that needs the same."""

import os
import platform
import warnings
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import jax

from charrnn_core.devices import processor_lines
from charrnn_core.files.atomic import cache_directory, user_path
from charrnn_core.files.store import Store
from charrnn_core.terminal import to_stderr

VARIABLE = "CHARRNN_COMPILE_CACHE"
"""The environment variable: ``off``, or another folder for compiled programs."""

_LIMIT = 1 << 28
_CPU = {"vendor_id", "cpu family", "model", "model name", "stepping", "flags"} | {
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features", "isa", "uarch",
}  # fmt: skip


def keep_programs() -> None:
    """Have jax keep the programs that it compiles from now on, for this process and later ones.

    Does nothing if ``CHARRNN_COMPILE_CACHE`` is ``off``, if jax has been told where to keep them
    (``JAX_COMPILATION_CACHE_DIR``), or if this jax has no place for another cache than its own,
    which does not notice damage.
    """
    chosen = os.environ.get(VARIABLE, "")
    told: Any = jax.config  # its attributes are made when they are defined
    if chosen == "off" or told.jax_compilation_cache_dir:
        return
    root = user_path(chosen) if chosen else cache_directory() / "compiled"
    remedy = f"{VARIABLE} chooses another folder, or off"
    store = Store(root, _name(), limit=_LIMIT, note=to_stderr, remedy=remedy)
    if not _hand_over(store):
        return
    jax.config.update("jax_compilation_cache_dir", str(store.folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # XLA's own files beside the programs have no digests.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    # What cannot be used is compiled again, after a line of ours.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def _name() -> str:
    """Return a name for programs that run here: compiled by this jaxlib, for this processor."""
    host = sha256("\n".join((platform.machine(), *_processor())).encode()).hexdigest()[:16]
    return f"jaxlib-{version('jaxlib')}-{platform.machine()}-{host}"


def _processor() -> list[str]:
    """Return what distinguishes this processor from those with other instructions.

    Where the system does not say, each machine counts as another.
    """
    found = {line for line in processor_lines() if line.partition(":")[0].strip() in _CPU}
    return sorted(found) or [platform.node(), platform.processor()]


def _hand_over(store: Store) -> bool:
    """Have jax use a store for the programs of its folder; return whether it can."""
    try:
        from jax._src import compilation_cache

        private: Any = compilation_cache

        class Programs(private.CacheInterface):
            """A store as jax wants it."""

            _path = store.folder
            _given: set[str] = set()

            def get(self, key: str) -> bytes | None:
                if (program := store.get(key)) is not None:
                    self._given.add(key)
                return program

            def put(self, key: str, value: bytes) -> None:
                if key in self._given:  # jax could not load what it got
                    self._given.discard(key)
                    store.forget(key)
                store.put(key, value)

        programs, of_jax = Programs(), private.get_file_cache

        def get_file_cache(path: str) -> Any:
            return (programs, path) if path == str(store.folder) else of_jax(path)

        private.get_file_cache = get_file_cache
    except (ImportError, AttributeError, TypeError):  # another jax
        return False
    return True
