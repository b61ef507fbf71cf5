"""Files that survive crashes: atomic writes, locks, regular files only, checked checkpoints.

Imports no jax, and of charrnn only modules at the root. Start reading with `atomic`, then
`checkpoint`.
"""
