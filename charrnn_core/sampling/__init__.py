"""Sampling: read a prompt, draw symbols on the device, turn them into text.

May import `network` and `text`. Start reading with `draw`.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
