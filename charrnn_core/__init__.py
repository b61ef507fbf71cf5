"""charrnn: character-level recurrent language models in JAX.

The names that a plugin's registration needs are light and imported eagerly. Everything else is
imported on first use (PEP 562), so ``import charrnn_core`` never imports jax or numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

from charrnn_core.errors import CharRNNError, CorpusError, OptionError, SourceError
from charrnn_core.moved import refuse_old_paths
from charrnn_core.registry.descriptors import (
    PLUGIN_API,
    CellPlugin,
    LossPlugin,
    ObserverPlugin,
    OptimizerPlugin,
    RecipePlugin,
    SamplerPlugin,
    SourcePlugin,
)
from charrnn_core.registry.hookspecs import hookimpl
from charrnn_core.registry.options import CellRef, NoOptions, opt
from charrnn_core.registry.spec import Ref

refuse_old_paths()

if TYPE_CHECKING:
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
    from charrnn_core.evaluation.report import Evaluation as Evaluation
    from charrnn_core.network.network import Network as Network
    from charrnn_core.runs.config import RunConfig as RunConfig
    from charrnn_core.runs.model import Model as Model
    from charrnn_core.sampling.draw import SamplerContext as SamplerContext
    from charrnn_core.text.alphabet import Alphabet as Alphabet
    from charrnn_core.text.corpus import Corpus as Corpus
    from charrnn_core.text.corpus import SourceContext as SourceContext
    from charrnn_core.text.decode import decode_text as decode_text

_LAZY = {
    "Alphabet": "text.alphabet",
    "Cell": "cell",
    "Corpus": "text.corpus",
    "Evaluation": "evaluation.report",
    "Model": "runs.model",
    "Network": "network.network",
    "RunConfig": "runs.config",
    "SamplerContext": "sampling.draw",
    "SourceContext": "text.corpus",
    "Trained": "api",
    "as_cell": "cell",
    "decode_text": "text.decode",
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
    "RecipePlugin",
    "Ref",
    "RunConfig",
    "SamplerContext",
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
