"""The network: input layer, cell, readout; its parameters as a pytree; what the engine makes of it.

May import: `engine`, `files`, `registry`, and modules at the root.
Imported by: `sampling`, `runs`, `evaluation`, `training`, `testing`.
Start reading with `network`.
"""
