"""The command ``charrnn bench``: compare cells at equal time, data or parameters."""
