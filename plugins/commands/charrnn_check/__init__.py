"""The command ``charrnn check``, as a plugin: whether a plugin keeps its contract."""
