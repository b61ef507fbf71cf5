"""Sampling: read a prompt, draw symbols on the device, turn them into text.

May import: `network`, `text`, and modules at the root.
Imported by: `runs`, `evaluation`, `training`, `testing`.
Start reading with `draw`, then `text`.
"""
