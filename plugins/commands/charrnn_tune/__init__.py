"""The command ``charrnn tune``: find settings that suit a text, by successive halving."""
