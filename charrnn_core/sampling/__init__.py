"""Sampling: read a prompt, draw symbols on the device, turn them into text.

May import `network` and `text`. Start reading with `draw`.
"""
