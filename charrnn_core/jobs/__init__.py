"""Many trainings, each a ``charrnn run`` in a process of its own: one by one, or several at a time.

May import: `files`, `registry`, `runs`, and modules at the root.
Imported by: `testing`.
Nothing here imports jax. Start reading with `training`, then `process` (one) and `parallel` (many).
"""
