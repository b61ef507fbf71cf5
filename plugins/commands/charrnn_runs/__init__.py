"""The command ``charrnn runs``: list trainings, and remove them."""
