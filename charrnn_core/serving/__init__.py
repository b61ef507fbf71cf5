"""Serving: one program of fixed shape in which many requests write, each as if it were alone.

May import: `engine`, `network`, `runs`, `sampling`, `text`, and modules at the root.
Imported by: `testing`.
It knows nothing of HTTP. Start reading with `slots`, what runs on the device, then `batcher`, which
puts requests into slots, and `request`, what one of them asks for and gets.
"""
