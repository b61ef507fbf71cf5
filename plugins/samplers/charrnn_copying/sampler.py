"""A constraint: no long verbatim run of the training text."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_copying.suffixes import SuffixAutomaton, suffix_automaton

State = tuple[jax.Array, jax.Array]
_NO_SYMBOL = 2**31 - 1


class NoCopy:
    """Whatever would end a run of more than N symbols that is in the training text is forbidden.

    So no run of N + 1 symbols that ends in a drawn one is anywhere in the training text, be it that
    it begins in the prompt. (The prompt itself may be a longer copy: it was not drawn.) The
    constraint comes first in every chain: the other samplers choose among what it allows. Where it
    allows nothing, because every symbol of the alphabet follows the last N somewhere in the
    training text, sampling ends with a `SamplingError`; that takes a small N.

    The training text is read, and indexed, when the sampler is bound to a model: some seconds for a
    million characters. The state is ``(state, length)``, each int32[B]: the state of the text's
    suffix automaton that has the longest suffix of what was written, and that suffix's length,
    which counts no further than N.

    Raises (`bind`):
        CorpusError: the training text is too long to index, or is not what it was.

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> context = SimpleNamespace(training_ids=lambda: np.array([0, 1, 2, 0, 1, 3]))
    >>> sampler = NoCopy(SimpleNamespace(longest=2)).bind(context)
    >>> state = sampler.observe(sampler.observe(sampler.init(1), jnp.array([0])), jnp.array([1]))
    >>> sampler(None, jnp.zeros((1, 4)), state)[0].tolist()
    [[0.0, 0.0, -inf, -inf]]
    """

    constraint = True

    def __init__(self, options: Any) -> None:
        self.longest = options.longest

    def bind(self, context: Any) -> "_Bound":
        """Read the training text and return the sampler for this context's model."""
        return _Bound(self.longest, suffix_automaton(context.training_ids()))


class _Bound:
    """The constraint of one training text; no-copy's docstring says what it does."""

    constraint = True

    def __init__(self, longest: int, text: SuffixAutomaton) -> None:
        self.longest = longest
        self.first, self.symbols, self.targets, self.links, self.lengths = map(
            jnp.asarray, (text.first, text.symbols, text.targets, text.links, text.lengths)
        )
        self.most = int(np.diff(text.first).max(initial=0))

    def init(self, batch: int) -> State:
        return jnp.zeros(batch, jnp.int32), jnp.zeros(batch, jnp.int32)

    def __call__(self, key: jax.Array, logits: jax.Array, at: State) -> tuple[jax.Array, State]:
        del key  # the core draws
        copies = jax.vmap(self._copies, in_axes=(0, None))(at, logits.shape[1])
        return jnp.where(copies, -jnp.inf, logits), at

    def observe(self, at: State, ids: jax.Array) -> State:
        """Return the longest suffix of at most N symbols in the text, after ``ids: int32[B]``."""
        return jax.vmap(self._read)(at, ids)

    def _copies(self, at: State, symbols: int) -> jax.Array:
        """Return which symbols would make the copy longer than N."""
        state, length = at
        _, read = self._transitions(state)
        follow = jnp.zeros(symbols, bool).at[read].set(True, mode="drop")
        return follow & (length >= self.longest)

    def _read(self, at: State, symbol: jax.Array) -> State:
        def stuck(at: State) -> jax.Array:
            return (at[0] >= 0) & (self._transitions(at[0])[1] != symbol).all()

        def shorten(at: State) -> State:
            return self.links[at[0]], self.lengths[self.links[at[0]]]

        state, length = jax.lax.while_loop(stuck, shorten, at)
        edges, read = self._transitions(state)
        length = jnp.where(state >= 0, jnp.minimum(length + 1, self.longest), 0)
        state = jnp.where(state >= 0, self.targets[edges[jnp.argmax(read == symbol)]], 0)

        def in_more_places(state: jax.Array) -> jax.Array:
            return (state > 0) & (self.lengths[self.links[state]] >= length)

        return jax.lax.while_loop(in_more_places, lambda state: self.links[state], state), length

    def _transitions(self, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the places of a state's transitions and their symbols, padded with no symbol."""
        edges = self.first[state] + jnp.arange(self.most)
        return edges, jnp.where(edges < self.first[state + 1], self.symbols[edges], _NO_SYMBOL)
