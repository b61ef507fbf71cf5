"""The command ``charrnn eval``, as a plugin: how well a model predicts held-out text."""
