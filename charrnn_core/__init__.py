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
    from charrnn_core.alphabet import Alphabet as Alphabet
    from charrnn_core.api import Trained as Trained
    from charrnn_core.api import evaluate as evaluate
    from charrnn_core.api import generate as generate
    from charrnn_core.api import load as load
    from charrnn_core.api import resume as resume
    from charrnn_core.api import score as score
    from charrnn_core.api import stream as stream
    from charrnn_core.api import train as train
    from charrnn_core.cell import Cell as Cell
    from charrnn_core.cell import as_cell as as_cell
    from charrnn_core.corpus import Corpus as Corpus
    from charrnn_core.corpus import SourceContext as SourceContext
    from charrnn_core.decoding import decode_text as decode_text
    from charrnn_core.evaluation import Evaluation as Evaluation
    from charrnn_core.model import Model as Model
    from charrnn_core.network import Network as Network
    from charrnn_core.run import RunConfig as RunConfig

_LAZY = {
    "Alphabet": "alphabet",
    "Cell": "cell",
    "Corpus": "corpus",
    "Evaluation": "evaluation",
    "Model": "model",
    "Network": "network",
    "RunConfig": "run",
    "SourceContext": "corpus",
    "Trained": "api",
    "as_cell": "cell",
    "decode_text": "decoding",
    "evaluate": "api",
    "generate": "api",
    "load": "api",
    "resume": "api",
    "score": "api",
    "stream": "api",
    "train": "api",
}

__all__ = [
    "Alphabet",
    "Cell",
    "CellPlugin",
    "CellRef",
    "CharRNNError",
    "Corpus",
    "CorpusError",
    "Evaluation",
    "LossPlugin",
    "Model",
    "Network",
    "NoOptions",
    "ObserverPlugin",
    "OptimizerPlugin",
    "OptionError",
    "PLUGIN_API",
    "RunConfig",
    "SamplerPlugin",
    "SourceContext",
    "SourceError",
    "SourcePlugin",
    "Trained",
    "as_cell",
    "decode_text",
    "evaluate",
    "generate",
    "hookimpl",
    "load",
    "opt",
    "resume",
    "score",
    "stream",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
