"""Descriptors: what a plugin yields from its hooks, one class for each kind of plugin.

A class says everything about its kind that is not code of its own: what users call it, the hook
that yields it, and the contract. Tables of kinds anywhere are derived from `KINDS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from charrnn_core.errors import PluginError
from charrnn_core.public import public
from charrnn_core.registry.plugin import Component, Plugin


@public
class CellPlugin(Component):
    """A recurrent cell type. Target: ``(**options) ->`` a `Cell`, a flax linen RNN cell, or a
    constructor of a flax nnx RNN cell that is called as ``make(in_features, rngs=...)``.

    A complete plugin, ``charrnn_irnn/__init__.py``::

        from dataclasses import dataclass
        from charrnn_core import CellPlugin, hookimpl, opt

        @dataclass(frozen=True, kw_only=True)
        class IRNNOptions:
            features: int = opt(256, help="width of the hidden state", ge=1)

        @hookimpl
        def charrnn_cells():
            yield CellPlugin(name="irnn", target="charrnn_irnn.cell:IRNNCell", options=IRNNOptions,
                             argument="features", summary="identity-initialised ReLU cell")

    and ``charrnn_irnn/cell.py``::

        import flax.linen as nn
        import jax.numpy as jnp

        class IRNNCell(nn.RNNCellBase):
            features: int

            @nn.compact
            def __call__(self, h, x):
                W = nn.Dense(self.features, kernel_init=lambda *_: jnp.eye(self.features), name="W")
                U = nn.Dense(self.features, use_bias=False, name="U")
                h = nn.relu(W(h) + U(x))
                return h, h
    """

    kind = "cell"
    hook = "charrnn_cells"


@public
@dataclass(frozen=True, kw_only=True)
class SourcePlugin(Component):
    """A corpus source. Target: ``(argument, options, context) -> Corpus``.

    `argument` is the text after the colon (None if there was no colon), `options` an instance of
    the options class, `context` a `SourceContext`. Bad input raises `SourceError`.

    A source whose publisher puts something around its texts, such as a licence, cuts that. With
    ``wrapper``, ``"package.module:attribute"`` of ``text -> [(start, end), ...]``, it also tells
    where that is in the text of another source, such as a file that was saved by hand; see
    `charrnn_core.text.wrappers`.

    A complete plugin, ``charrnn_rot13/__init__.py``::

        from charrnn_core import SourcePlugin, hookimpl

        @hookimpl
        def charrnn_sources():
            yield SourcePlugin(name="rot13", target="charrnn_rot13.source:rot13",
                               summary="a file, rotated by thirteen letters")

    and ``charrnn_rot13/source.py``::

        import codecs
        from charrnn_core import Corpus, SourceError

        def rot13(argument, options, context):
            try:
                text = open(argument, encoding="utf-8").read()
            except (OSError, ValueError, TypeError) as error:  # ValueError: it is not UTF-8
                raise SourceError(f"cannot read {argument!r}: {error}") from error
            return Corpus(text=codecs.encode(text, "rot13"), name=argument, origin=argument)

    For a text that may be too long for memory, set ``pieces`` instead of ``text``: a function that
    reads it again from its start, piece by piece.
    """

    kind = "source"
    hook = "charrnn_sources"

    wrapper: str | Callable[[str], Sequence[tuple[int, int]]] | None = None


@public
class LossPlugin(Component):
    """A loss. Target: ``(options) -> loss(logits, targets, weights) -> nats per character``.

    ``logits: float[T,B,V]``, ``targets: int32[T,B]``, ``weights: float[T,B]`` (0 for padding); the
    result is the weighted mean, a scalar.

    A complete plugin, ``charrnn_smooth/__init__.py``::

        from charrnn_core import LossPlugin, hookimpl

        @hookimpl
        def charrnn_losses():
            yield LossPlugin(name="smooth", target="charrnn_smooth.loss:smooth",
                             summary="cross-entropy with 5 % of label smoothing")

    and ``charrnn_smooth/loss.py``::

        import jax, jax.numpy as jnp, optax

        def smooth(options):
            def loss(logits, targets, weights):
                labels = optax.smooth_labels(jax.nn.one_hot(targets, logits.shape[-1]), 0.05)
                nats = optax.softmax_cross_entropy(logits, labels)
                return jnp.sum(nats * weights) / jnp.sum(weights)
            return loss
    """

    kind = "loss"
    hook = "charrnn_losses"


@public
class SamplerPlugin(Component):
    """A sampler. Target: ``(options) -> sampler(key, logits, state) -> (logits, state)``.

    ``logits: float[B,V]``; the core draws from the softmax of the logits returned, inside jit. At
    least one symbol of each row that could be drawn must stay possible. All else is optional:

    * ``init(batch) -> state``: returns the initial state; a pytree of arrays ``[B,...]``, in which
      no row depends on another. Without it the state is None.
    * ``observe(state, ids) -> state``: takes ``ids: int32[B]``, the next character of every row: of
      the prompt first (an empty one stands for a line's end), then those that were drawn.
    * ``bind(context) -> sampler``: called once, with a `charrnn_core.SamplerContext`, and returns
      the sampler to use, which thus knows the alphabet and the text the model was trained on.
    * ``constraint = True``: symbols that it forbids must never be drawn, so it comes first in every
      chain, and the others choose among what it allows.

    A complete plugin, ``charrnn_topa/__init__.py``::

        from dataclasses import dataclass
        from charrnn_core import SamplerPlugin, hookimpl, opt

        @dataclass(frozen=True, kw_only=True)
        class TopAOptions:
            a: float = opt(0.2, help="the least share of the likeliest one's square", ge=0, le=1)

        @hookimpl
        def charrnn_samplers():
            yield SamplerPlugin(name="top-a", target="charrnn_topa.sampler:top_a",
                                options=TopAOptions, argument="a", summary="p >= a max(p)^2")

    and ``charrnn_topa/sampler.py``::

        import jax, jax.numpy as jnp

        def top_a(options):
            def sampler(key, logits, state):
                p = jax.nn.softmax(logits)
                least = options.a * jnp.max(p, axis=-1, keepdims=True) ** 2
                return jnp.where(p < least, -jnp.inf, logits), state
            return sampler
    """

    kind = "sampler"
    hook = "charrnn_samplers"


@public
class OptimizerPlugin(Component):
    """An optimizer. Target: ``(options, total_steps) -> optax.GradientTransformation``.

    `total_steps` is how many updates the run will make: an int, or under a wall-clock budget an
    int32 scalar array that is re-estimated during the run; `charrnn_core.schedules` takes both.
    The options have a ``learning_rate``, which ``charrnn run --lr`` sets.

    A complete plugin, ``charrnn_lion/__init__.py``::

        from dataclasses import dataclass
        from charrnn_core import OptimizerPlugin, hookimpl, opt

        @dataclass(frozen=True, kw_only=True)
        class LionOptions:
            learning_rate: float = opt(1e-4, help="peak learning rate", gt=0)

        @hookimpl
        def charrnn_optimizers():
            yield OptimizerPlugin(name="lion", target="charrnn_lion.optimizer:lion",
                                  options=LionOptions, argument="learning_rate", summary="Lion")

    and ``charrnn_lion/optimizer.py``::

        import optax
        from charrnn_core.schedules import cosine

        def lion(options, total_steps):
            return optax.lion(cosine(options.learning_rate, total_steps, warmup=100))
    """

    kind = "optimizer"
    hook = "charrnn_optimizers"


@public
class ObserverPlugin(Component):
    """An observer of training. Target: ``(options) ->`` an object with any of the methods
    ``on_start, on_step, on_eval, on_sample, on_incident, on_checkpoint, on_end``, each taking the
    event of that name from `charrnn_core.events`. They run outside jit. One that writes a file may
    have ``state() -> plain data``, kept in every checkpoint, and ``restore(state)``.

    A complete plugin, ``charrnn_bell/__init__.py``::

        from charrnn_core import ObserverPlugin, hookimpl

        @hookimpl
        def charrnn_observers():
            yield ObserverPlugin(name="bell", target="charrnn_bell.observer:Bell",
                                 summary="rings when training ends")

    and ``charrnn_bell/observer.py``::

        class Bell:
            def __init__(self, options):
                pass

            def on_end(self, event):
                print("\\a", end="")
    """

    kind = "observer"
    hook = "charrnn_observers"


@public
@dataclass(frozen=True, kw_only=True)
class RecipePlugin(Plugin):
    """A recipe: settings to begin with, which ``charrnn run --recipe NAME`` starts from.

    Arguments:
        name: the name that users type: at least two lower-case letters, digits, ``-`` or ``_``.
        settings: settings of a run by name, as in a TOML file: see `charrnn_core.RunConfig`.
        imitates: the system whose defaults these are, such as ``"karpathy/char-rnn"``; with it,
            ``charrnn run --like NAME`` takes the recipe too.
        summary: one line for listings.
        api: the `PLUGIN_API` the plugin was written for.

    Raises:
        PluginError: a field breaks its contract.

    A complete plugin, ``charrnn_tiny/__init__.py``::

        from charrnn_core import RecipePlugin, hookimpl

        @hookimpl
        def charrnn_recipes():
            yield RecipePlugin(name="tiny", summary="a minute on a laptop",
                               settings={"cell": "gru:128", "minutes": 1})
    """

    kind = "recipe"
    hook = "charrnn_recipes"

    settings: Mapping[str, Any] = field(default_factory=dict)
    imitates: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.settings, Mapping):
            raise PluginError(
                f"recipe {self.name!r} has the settings {self.settings!r}; expected a table such "
                "as {'cell': 'gru:128', 'minutes': 1}"
            )
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    def describe(self) -> dict[str, Any]:
        """Return what ``charrnn plugins show`` says of it, as plain data."""
        return super().describe() | {"imitates": self.imitates, "settings": dict(self.settings)}


KINDS: dict[str, type[Plugin]] = {
    descriptor.kind: descriptor
    for descriptor in (
        CellPlugin,
        SourcePlugin,
        LossPlugin,
        SamplerPlugin,
        OptimizerPlugin,
        ObserverPlugin,
        RecipePlugin,
    )
}
"""The kinds of plugins, by name."""

HOOKS: dict[str, type[Plugin]] = {descriptor.hook: descriptor for descriptor in KINDS.values()}
"""What each hook yields."""
