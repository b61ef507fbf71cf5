"""charrnn: character-level recurrent language models in JAX.

The names a plugin's registration needs are imported here at once, and are light. Everything else is
imported on first use (PEP 562), so ``import charrnn_core`` never imports jax or numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

from charrnn_core.errors import CharRNNError, CorpusError, OptionError, SourceError
from charrnn_core.hookspecs import hookimpl
from charrnn_core.options import CellRef, NoOptions, opt
from charrnn_core.plugin import (
    PLUGIN_API,
    CellPlugin,
    LossPlugin,
    ObserverPlugin,
    OptimizerPlugin,
    SamplerPlugin,
    SourcePlugin,
)

if TYPE_CHECKING:
    from charrnn_core.corpus import Alphabet as Alphabet
    from charrnn_core.corpus import Corpus as Corpus
    from charrnn_core.corpus import SourceContext as SourceContext
    from charrnn_core.corpus import decode_text as decode_text

_LAZY = {
    "Alphabet": "corpus",
    "Corpus": "corpus",
    "SourceContext": "corpus",
    "decode_text": "corpus",
}

__all__ = [
    "PLUGIN_API",
    "Alphabet",
    "CellPlugin",
    "CellRef",
    "CharRNNError",
    "Corpus",
    "CorpusError",
    "LossPlugin",
    "NoOptions",
    "ObserverPlugin",
    "OptimizerPlugin",
    "OptionError",
    "SamplerPlugin",
    "SourceContext",
    "SourceError",
    "SourcePlugin",
    "decode_text",
    "hookimpl",
    "opt",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
