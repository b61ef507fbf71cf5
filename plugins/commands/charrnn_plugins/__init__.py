"""The command ``charrnn plugins``, as a plugin: what is installed."""
