"""How good a model is: nats per character, intervals, baselines, and a diagnosis of bad results.

May import: `engine`, `files`, `network`, `page`, `registry`, `runs`, `sampling`, `text`, and
modules at the root.
Imported by: `training`, `testing`.
Start reading with `evaluate`, then `report`.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
