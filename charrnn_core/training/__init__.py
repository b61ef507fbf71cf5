"""Training: batches, one update, the loop as a generator of events, a run with files and observers.

Knows every other room. Begin with `train`.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
