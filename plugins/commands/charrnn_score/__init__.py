"""The command ``charrnn score``: print the bits of every character of a text."""
