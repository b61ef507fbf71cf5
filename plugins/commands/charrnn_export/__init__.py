"""The command ``charrnn export``: a model as one file that others can use."""
