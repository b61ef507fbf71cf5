"""The network: input layer, cell, readout; its parameters as a pytree; what the engine makes of it.

Knows `engine`, `files` and `registry`. Begin with `network`.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
