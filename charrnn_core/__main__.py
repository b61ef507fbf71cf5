"""Run ``charrnn`` as ``python -m charrnn_core``."""

from charrnn.cli import main  # pyright: ignore[reportMissingImports]  # ./cli.py, installed

main()
