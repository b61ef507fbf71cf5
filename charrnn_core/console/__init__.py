"""The terminal: standard streams, lines that fit its width, commands to paste.

Imports only `errors` and `terminal`; every room may import it. Start reading with `stdio`.
"""
