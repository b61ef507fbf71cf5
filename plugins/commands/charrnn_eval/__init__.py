"""The command ``charrnn eval``: score held-out text with a model."""
