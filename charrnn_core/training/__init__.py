"""Training: batches, one update, the loop as a generator of events, a run with files and observers.

May import: `console`, `engine`, `evaluation`, `files`, `network`, `page`, `registry`, `runs`,
`sampling`, `text`, and modules at the root.
Imported by: `testing`.
Start reading with `train`; `setup`, `run` and `loop` are its three parts.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
