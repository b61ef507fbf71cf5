"""The network: input layer, cell, readout; its parameters as a pytree; what the engine makes of it.

May import: `engine`, `files`, `registry`, and modules at the root.
Imported by: `javascript`, `sampling`, `runs`, `serving`, `compression`, `evaluation`, `inspection`,
`training`, `testing`.
Start reading with `network`; `documents` says where the carry starts afresh, `calling` how a cell's
functions are called, `explain` what there is to say of the engine's work.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
