"""Sphinx's settings: python -m sphinx -W -b html docs docs/_build"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for every_command

project = "charrnn"
author = "the authors of charrnn"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "charrnn"
html_copy_source = False
myst_heading_anchors = 3
smartquotes = False  # it makes dashes of options
default_role = "py:obj"  # docstrings write `name` for a name
napoleon_custom_sections = [("Fields", "params_style"), ("Raises (the function)", "Raises")]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
