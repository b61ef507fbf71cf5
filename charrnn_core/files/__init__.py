"""Files that survive: atomic writes, locks, files opened only if regular, the checked checkpoint.

Imports no jax, and nothing of ours but modules at the root. Begin with `atomic`, then `checkpoint`.
"""
