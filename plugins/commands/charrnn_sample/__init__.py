"""The command ``charrnn sample``: write text with a model."""
