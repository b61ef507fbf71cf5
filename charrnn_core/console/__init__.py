"""What a process says: its standard streams, lines as wide as the terminal, commands to paste.

Needs `errors` and `terminal` alone; every room may import it. Begin with `stdio`.
"""
