"""Descriptors: what a plugin yields from its hooks. Standard library only, so they cost nothing.

A descriptor names a component, its options and its *target*: an import string such as
``"charrnn_lru.cell:LRUCell"`` that is imported when the component is first used, never before.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from charrnn_core.console.stdout import kept_clean
from charrnn_core.errors import PluginError
from charrnn_core.registry.options import NoOptions, annotations, check_options_type

PLUGIN_API = 1
"""Raised only when a descriptor or a component contract changes incompatibly."""

_NAME = re.compile(r"[a-z][a-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One component on offer.

    Arguments:
        name: how users call it: at least two lower-case letters, digits, ``-`` or ``_``.
        target: ``"package.module:attribute"``, imported on first use, or the object itself.
        summary: one line for listings.
        options: a frozen keyword-only dataclass of options declared with `opt`.
        argument: the option that the text after the colon of a spec fills; None takes none.
        api: the `PLUGIN_API` the plugin was written for.
        state_version: for cells: raise it when saved parameters change shape or meaning.

    Raises:
        PluginError: a field breaks its contract.

    >>> CellPlugin(name="irnn", target="charrnn_irnn.cell:IRNNCell", summary="ReLU cell").kind
    'cell'
    """

    kind: ClassVar[str]

    name: str
    target: str | Callable[..., Any]
    summary: str = ""
    options: type = NoOptions
    argument: str | None = None
    api: int = PLUGIN_API
    state_version: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise PluginError(
                f"{self.name!r} cannot name a {self.kind}; expected at least two lower-case "
                "letters, digits, '-' or '_'"
            )
        check_options_type(self.options)
        if self.argument is not None and self.argument not in annotations(self.options):
            raise PluginError(
                f"{self.kind} {self.name!r}: argument {self.argument!r} is not one of its options: "
                f"{', '.join(annotations(self.options)) or 'it has none'}"
            )
        if self.api > PLUGIN_API:
            raise PluginError(
                f"{self.kind} {self.name!r} needs plugin API {self.api}; this charrnn has "
                f"{PLUGIN_API}: upgrade charrnn"
            )

    def load(self) -> Callable[..., Any]:
        """Import the target.

        Raises:
            PluginError: the import string is malformed, or importing it fails.
        """
        if callable(self.target):
            return self.target
        module, colon, attribute = self.target.partition(":")
        if not colon:
            raise PluginError(
                f"{self.kind} {self.name!r}: target {self.target!r} is not "
                "'package.module:attribute'"
            )
        try:
            with kept_clean():
                found: Any = importlib.import_module(module)
                for part in attribute.split("."):
                    found = getattr(found, part)
        except (
            Exception,
            SystemExit,
        ) as error:  # the plugin's fault, whatever it is
            raise PluginError(
                f"{self.kind} {self.name!r} cannot be imported from {self.target!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return found


class SourcePlugin(Plugin):
    """A corpus source. Target: ``(argument, options, context) -> Corpus``.

    `argument` is the text after the colon (None if there was no colon), `options` an instance of
    the options class, `context` a `SourceContext`. Bad input raises `SourceError`.
    """

    kind = "source"


class CellPlugin(Plugin):
    """A recurrent cell type. Target: ``(**options) ->`` a `Cell`, a flax linen RNN cell, or a
    constructor of a flax nnx RNN cell that is called as ``make(in_features, rngs=...)``."""

    kind = "cell"


class LossPlugin(Plugin):
    """A loss. Target: ``(options) -> loss(logits, targets, weights) -> nats per character``.

    ``logits: float[T,B,V]``, ``targets: int32[T,B]``, ``weights: float[T,B]`` (0 for padding); the
    result is the weighted mean, a scalar.
    """

    kind = "loss"


class SamplerPlugin(Plugin):
    """A sampler. Target: ``(options) -> sampler(key, logits, state) -> (logits, state)``.

    ``logits: float[B,V]``; the core draws from the softmax of the logits returned, inside jit. At
    least one symbol of each row that could be drawn must stay possible. All else is optional:

    * ``init(batch) -> state``: the sampler remembers; a pytree of arrays ``[B,...]``, in which no
      row depends on another. Without it the state is None.
    * ``observe(state, ids) -> state``: takes ``ids: int32[B]``, the next character of every row: of
      the prompt first (an empty one stands for a line's end), then those that were drawn.
    * ``bind(context) -> sampler``: called once, with a `charrnn_core.SamplerContext`, for the
      sampler to use; so one can know the alphabet, and the text the model was trained on.
    * ``constraint = True``: what it forbids must never be drawn, so it comes first in every chain,
      and the others choose among what it allows.
    """

    kind = "sampler"


class OptimizerPlugin(Plugin):
    """An optimizer. Target: ``(options, total_steps) -> optax.GradientTransformation``.

    `total_steps` is how many updates the run will make: an int, or under a wall-clock budget an
    int32 scalar array that is estimated anew as the run goes; `charrnn_core.schedules` takes both.
    The options have a ``learning_rate``, which ``charrnn run --lr`` sets.
    """

    kind = "optimizer"


class ObserverPlugin(Plugin):
    """An observer of training. Target: ``(options) ->`` an object with any of the methods
    ``on_start, on_step, on_eval, on_sample, on_incident, on_checkpoint, on_end``, each taking the
    event of that name from `charrnn_core.events`. They run outside jit. One that writes a file may
    have ``state() -> plain data``, kept in every checkpoint, and ``restore(state)``."""

    kind = "observer"


KINDS: dict[str, type[Plugin]] = {
    cls.kind: cls
    for cls in (
        SourcePlugin,
        CellPlugin,
        LossPlugin,
        SamplerPlugin,
        OptimizerPlugin,
        ObserverPlugin,
    )
}
