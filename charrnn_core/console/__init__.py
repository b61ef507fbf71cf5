"""The terminal: standard streams, lines that fit its width, commands to paste.

May import: only modules at the root.
Imported by: `registry`, `text`, `runs`, `training`, `testing`.
Start reading with `stdio`, then `layout`.
"""
