"""The command ``charrnn bench``, as a plugin: cells matched by time, characters or parameters."""
