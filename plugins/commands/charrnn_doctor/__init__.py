"""The command ``charrnn doctor``: look at a text before a training."""
