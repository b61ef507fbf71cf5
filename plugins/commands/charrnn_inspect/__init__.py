"""The command ``charrnn inspect``: one page with what the units of a network do over a text."""
