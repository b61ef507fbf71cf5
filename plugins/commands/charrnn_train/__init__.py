"""The commands ``run`` and ``resume``."""
