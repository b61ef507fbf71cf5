"""The command ``charrnn novelty``: what a text has copied."""
