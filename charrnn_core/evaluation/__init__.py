"""How good a model is: nats per character, intervals, baselines, and a diagnosis of bad results.

May import `runs` and the rooms below it. Start reading with `evaluate`.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
