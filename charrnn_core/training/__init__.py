"""Training: batches, one update, the loop as a generator of events, a run with files and observers.

May import: `engine`, `evaluation`, `files`, `network`, `registry`, `runs`, `sampling`, `text`, and
modules at the root.
Imported by: `testing`.
Start reading with `train`; `setup`, `run` and `loop` are its three parts.
"""
