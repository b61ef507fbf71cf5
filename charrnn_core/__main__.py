"""``python -m charrnn_core`` is ``charrnn``."""

from charrnn.cli import main  # pyright: ignore[reportMissingImports]  # ./cli.py, installed

main()
