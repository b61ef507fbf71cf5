"""The network: input layer, cell, readout; its parameters as a pytree; what the engine makes of it.

Knows `engine`, `files` and `registry`. Begin with `network`.
"""
