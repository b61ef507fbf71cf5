"""Writing: read a prompt, draw symbols on the device, turn them into text.

Knows `network` and `text`. Begin with `draw`.
"""
