"""Training: batches, one update, the loop as a generator of events, a run with files and observers.

May import every other folder except `testing`. Start reading with `train`.
"""
