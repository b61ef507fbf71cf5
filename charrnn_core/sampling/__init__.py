"""Sampling: read a prompt, draw symbols on the device, turn them into text.

May import: `engine`, `network`, `text`, and modules at the root.
Imported by: `runs`, `serving`, `compression`, `evaluation`, `training`, `testing`.
Start reading with `draw`, then `chain`, `prompt` and `text`.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
