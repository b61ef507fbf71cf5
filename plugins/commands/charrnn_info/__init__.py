"""The command ``charrnn info``, as a plugin: what a run has come to, and what it is."""
