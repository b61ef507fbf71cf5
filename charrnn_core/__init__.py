"""charrnn: character-level recurrent language models in JAX.

Every name is imported on first use (PEP 562), so ``import charrnn_core`` costs nothing and never
imports jax or numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

from charrnn_core.moved import refuse_old_paths

refuse_old_paths()

if TYPE_CHECKING:
    from charrnn_core.api import generate as generate
    from charrnn_core.api import stream as stream
    from charrnn_core.cell import Cell as Cell
    from charrnn_core.cell import as_cell as as_cell
    from charrnn_core.compression.archive import compress as compress
    from charrnn_core.compression.archive import decompress as decompress
    from charrnn_core.engine.linen_rnn import as_flax as as_flax
    from charrnn_core.engine.rnn import RNN as RNN
    from charrnn_core.engine.scan import scan as scan
    from charrnn_core.errors import CharRNNError as CharRNNError
    from charrnn_core.errors import CorpusError as CorpusError
    from charrnn_core.errors import OptionError as OptionError
    from charrnn_core.errors import SourceError as SourceError
    from charrnn_core.evaluation.evaluate import evaluate as evaluate
    from charrnn_core.evaluation.evaluate import score as score
    from charrnn_core.evaluation.report import Evaluation as Evaluation
    from charrnn_core.network.network import Network as Network
    from charrnn_core.registry.descriptors import CellPlugin as CellPlugin
    from charrnn_core.registry.descriptors import LossPlugin as LossPlugin
    from charrnn_core.registry.descriptors import ObserverPlugin as ObserverPlugin
    from charrnn_core.registry.descriptors import OptimizerPlugin as OptimizerPlugin
    from charrnn_core.registry.descriptors import RecipePlugin as RecipePlugin
    from charrnn_core.registry.descriptors import SamplerPlugin as SamplerPlugin
    from charrnn_core.registry.descriptors import SourcePlugin as SourcePlugin
    from charrnn_core.registry.hookspecs import hookimpl as hookimpl
    from charrnn_core.registry.options import CellRef as CellRef
    from charrnn_core.registry.options import NoOptions as NoOptions
    from charrnn_core.registry.options import opt as opt
    from charrnn_core.registry.plugin import PLUGIN_API as PLUGIN_API
    from charrnn_core.registry.spec import Ref as Ref
    from charrnn_core.runs.config import RunConfig as RunConfig
    from charrnn_core.runs.model import Model as Model
    from charrnn_core.runs.model import load as load
    from charrnn_core.sampling.chain import SamplerContext as SamplerContext
    from charrnn_core.text.alphabet import Alphabet as Alphabet
    from charrnn_core.text.corpus import Corpus as Corpus
    from charrnn_core.text.corpus import SourceContext as SourceContext
    from charrnn_core.text.decode import decode_text as decode_text
    from charrnn_core.training.train import resume as resume
    from charrnn_core.training.train import train as train
    from charrnn_core.training.trained import Trained as Trained

_MODULES = {
    "Alphabet": "text.alphabet",
    "Cell": "cell",
    "CellPlugin": "registry.descriptors",
    "CellRef": "registry.options",
    "CharRNNError": "errors",
    "Corpus": "text.corpus",
    "CorpusError": "errors",
    "Evaluation": "evaluation.report",
    "LossPlugin": "registry.descriptors",
    "Model": "runs.model",
    "Network": "network.network",
    "NoOptions": "registry.options",
    "ObserverPlugin": "registry.descriptors",
    "OptimizerPlugin": "registry.descriptors",
    "OptionError": "errors",
    "PLUGIN_API": "registry.plugin",
    "RNN": "engine.rnn",
    "RecipePlugin": "registry.descriptors",
    "Ref": "registry.spec",
    "RunConfig": "runs.config",
    "SamplerContext": "sampling.chain",
    "SamplerPlugin": "registry.descriptors",
    "SourceContext": "text.corpus",
    "SourceError": "errors",
    "SourcePlugin": "registry.descriptors",
    "Trained": "training.trained",
    "as_cell": "cell",
    "as_flax": "engine.linen_rnn",
    "compress": "compression.archive",
    "decode_text": "text.decode",
    "decompress": "compression.archive",
    "evaluate": "evaluation.evaluate",
    "generate": "api",
    "hookimpl": "registry.hookspecs",
    "load": "runs.model",
    "opt": "registry.options",
    "resume": "training.train",
    "scan": "engine.scan",
    "score": "evaluation.evaluate",
    "stream": "api",
    "train": "training.train",
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
    "RNN",
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
    "as_flax",
    "compress",
    "decode_text",
    "decompress",
    "evaluate",
    "generate",
    "hookimpl",
    "load",
    "opt",
    "resume",
    "scan",
    "score",
    "stream",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
