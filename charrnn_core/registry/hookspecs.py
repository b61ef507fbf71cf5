"""The hooks a plugin may implement. Each takes no argument and returns descriptors.

A plugin is a module named by an entry point of the group ``charrnn``. Keep it light: no jax, flax
or numpy at import, so that ``charrnn --help`` stays instant however many plugins are installed.
"""

from collections.abc import Iterable

import pluggy

from charrnn_core.registry.descriptors import (
    CellPlugin,
    LossPlugin,
    ObserverPlugin,
    OptimizerPlugin,
    SamplerPlugin,
    SourcePlugin,
)

PROJECT = "charrnn"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def charrnn_sources() -> Iterable[SourcePlugin]:  # type: ignore[empty-body]  # a spec has no body
    """Corpus sources: where text comes from.

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

    A text that may be too long for memory is given as ``pieces`` instead of ``text``: a function
    that reads it again from its start, piece by piece.
    """


@hookspec
def charrnn_cells() -> Iterable[CellPlugin]:  # type: ignore[empty-body]  # a spec has no body
    """Recurrent cells: one step of the network, written as its equation.

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


@hookspec
def charrnn_losses() -> Iterable[LossPlugin]:  # type: ignore[empty-body]  # a spec has no body
    """Losses, in nats per character.

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


@hookspec
def charrnn_samplers() -> Iterable[SamplerPlugin]:  # type: ignore[empty-body]  # a spec has no body
    """Samplers: from the model's distribution to the one drawn from.

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

    A sampler that remembers what was drawn, or has to know the text the model was trained on, has
    more methods: see `charrnn_core.registry.descriptors.SamplerPlugin`.
    """


@hookspec
def charrnn_optimizers() -> Iterable[OptimizerPlugin]:  # type: ignore[empty-body]  # a spec has no body
    """Optimizers, as optax gradient transformations.

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


@hookspec
def charrnn_observers() -> Iterable[ObserverPlugin]:  # type: ignore[empty-body]  # a spec has no body
    """Observers: plain Python that watches a training.

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

    An observer that writes a file may also have ``state() -> plain data``, which every checkpoint
    remembers, and ``restore(state)``, which returns to it when a run goes on from one.
    """
