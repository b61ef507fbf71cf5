"""Training: batches, one update, the loop as a generator of events, a run with files and observers.

Knows every other room. Begin with `train`.
"""
