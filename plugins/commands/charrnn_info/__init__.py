"""The command ``charrnn info``: show a run's result, model and configuration."""
