"""The command ``charrnn check``, as a plugin: whether plugins and resuming keep their promises."""
