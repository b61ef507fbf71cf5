"""The commands ``charrnn install`` and ``charrnn uninstall``, as a plugin."""
