"""Files that survive crashes: atomic writes, locks, regular files only, checked checkpoints.

May import: only modules at the root.
Imported by: `registry`, `text`, `network`, `runs`, `evaluation`, `jobs`, `training`, `testing`.
Imports no jax. Start reading with `atomic`, then `checkpoint`.
"""
