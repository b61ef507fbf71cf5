"""The command ``charrnn score``, as a plugin: what every character of a text costs."""
