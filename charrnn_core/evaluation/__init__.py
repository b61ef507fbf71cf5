"""How good a model is: nats per character, intervals, baselines, and what may be wrong with it.

Knows `runs` and every room below it. Begin with `evaluate`.
"""
