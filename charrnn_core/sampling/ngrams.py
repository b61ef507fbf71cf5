"""A model mixed with n-gram counts of its training text, as the first member of a chain."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.sampling.chain import SamplerContext
from charrnn_core.sampling.mixing import START, mixed_log_p
from charrnn_core.text.ngrams import MEMORY, ORDER, NGrams, count_n_grams


class NGramMixture:
    """Mixes a model's distribution with Witten-Bell n-grams; the samplers after it get the mixture.

    The counts are those of the training text, which is read when the mixture is bound to a model: a
    few seconds for a million characters, and of at most the last 2**23. What is written is not
    counted, so that a sample does not run after itself. The weights are `START`.

    Arguments:
        order: the most characters to look back.

    Source: `charrnn_core.evaluation.adaptive` and `charrnn_core.sampling.mixing`, without what they
    learn from the text.
    """

    def __init__(self, order: int = ORDER) -> None:
        self.order = order

    def bind(self, context: SamplerContext) -> "_Bound":
        """Count the training text, and return what mixes this context's model with it."""
        text = context.training_ids()[-MEMORY:]
        counted = np.ones(len(text), bool)
        tree, _ = count_n_grams([text], counted, len(context.alphabet), self.order + 1)
        return _Bound(tree)


class _Bound:
    """The mixture with the counts of one text.

    The state is int32[B], the node of the longest string of at most `order` characters that ends
    what was written and is in the text.
    """

    def __init__(self, tree: NGrams) -> None:
        self._levels = tree.levels
        self._first, self._last, self._suffixes, self._counts = map(
            jnp.asarray, (tree.first, tree.symbols, tree.suffixes, tree.counts)
        )
        children = np.diff(tree.first)
        self._most_children = [
            int(children[begin:end].max(initial=0))
            for begin, end in zip(tree.levels[:-2], tree.levels[1:-1], strict=True)
        ]

    def init(self, batch: int) -> jax.Array:
        return jnp.zeros(batch, jnp.int32)

    def __call__(
        self, key: jax.Array, logits: jax.Array, nodes: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del key  # the core draws
        counts = jax.vmap(self._log_p, in_axes=(0, None))(nodes, logits.shape[1])
        weights = jnp.broadcast_to(jnp.array(START), (len(logits), 2))
        return mixed_log_p(weights, jax.nn.log_softmax(logits), counts), nodes

    def observe(self, nodes: jax.Array, ids: jax.Array) -> jax.Array:
        """Return the nodes after ``ids: int32[B]``."""
        return jax.vmap(self._read)(nodes, ids)

    def _log_p(self, node: jax.Array, symbols: int) -> jax.Array:
        """Return the log-probabilities after a node's string: float32[V]."""
        contexts = []
        for length in reversed(range(len(self._most_children))):
            has_length = node >= self._levels[length]
            contexts.append((has_length, node))
            node = jnp.where(has_length, self._suffixes[node], node)
        p = jnp.full(symbols, 1 / symbols)
        for most, (has_length, node) in zip(self._most_children, reversed(contexts), strict=True):
            children = self._first[node] + jnp.arange(most)
            inside = has_length & (children < self._first[node + 1])
            n = jnp.where(inside, self._counts[children], 0).astype(jnp.float32)
            kinds = inside.sum().astype(jnp.float32)
            share = 1 / jnp.maximum(n.sum() + kinds, 1.0)
            p *= jnp.where(kinds > 0, kinds * share, 1.0)
            at = jnp.where(inside, self._last[children], symbols)
            p = p.at[at].add(n * share, mode="drop")
        return jnp.log(jnp.maximum(p, jnp.finfo(p.dtype).tiny))

    def _read(self, node: jax.Array, symbol: jax.Array) -> jax.Array:
        def stuck(at: tuple[jax.Array, jax.Array]) -> jax.Array:
            node, child = at
            return (child == 0) & (node > 0)

        def shorten(at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            node = self._suffixes[at[0]]
            return node, self._child(node, symbol)

        _, child = jax.lax.while_loop(stuck, shorten, (node, self._child(node, symbol)))
        return jnp.where(child >= self._levels[-2], self._suffixes[child], child)

    def _child(self, node: jax.Array, symbol: jax.Array) -> jax.Array:
        """Return the child of a node with this symbol; 0, the root, if there is none."""
        low, end = self._first[node], self._first[node + 1]

        def halve(_: Any, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            low, high = ends
            middle = (low + high) // 2
            before = (low < high) & (self._last[middle] < symbol)
            return jnp.where(before, middle + 1, low), jnp.where(before, high, middle)

        times = max(self._most_children, default=0).bit_length()
        low, _ = jax.lax.fori_loop(0, times, halve, (low, end))
        return jnp.where((low < end) & (self._last[low] == symbol), low, 0)
