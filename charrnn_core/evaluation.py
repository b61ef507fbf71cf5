"""Evaluation: one stateful pass over held-out text, from a fresh carry to the last character."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.alphabet import Ids
from charrnn_core.cell import Carry, Params
from charrnn_core.errors import CorpusError
from charrnn_core.mapped import give_back
from charrnn_core.network import Network

_WINDOW = 512
"""Characters per inner scan: bounds the memory for logits; does not change the result."""

_WINDOWS = 16
"""Windows per call of the compiled program."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a model predicts a text.

    Arguments:
        nats_per_char: mean negative log-likelihood per predicted character.
        characters: how many characters were predicted.
        split: the preset that cut the text, and `part` the part that was read.
        symbol: what stands for a character: ``"character"``, or ``"byte"``.

    >>> Evaluation(nats_per_char=math.log(2), characters=8, split="all", part="train").bits_per_char
    1.0
    """

    nats_per_char: float
    characters: int
    split: str = ""
    part: str = ""
    symbol: str = "character"

    @property
    def bits_per_char(self) -> float:
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.nats_per_char, 700.0))

    def line(self) -> str:
        """The result in words."""
        return (
            f"{self.nats_per_char:.4f} nats, {self.bits_per_char:.4f} bits per {self.symbol}, "
            f"perplexity {self.perplexity:.3f} ({self.part} part of {self.split}, "
            f"{self.characters:,} {self.symbol}s)"
        )

    def table(self) -> dict[str, Any]:
        """The plain form, for JSON."""
        return {
            "nats_per_char": self.nats_per_char,
            "bits_per_char": self.bits_per_char,
            "perplexity": self.perplexity,
            "characters": self.characters,
            "split": self.split,
            "part": self.part,
            "symbol": self.symbol,
        }


def nats_of(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """``-log softmax(logits)[target]`` in nats: ``float[...,V], int32[...] -> float[...]``."""
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]


def make_scorer(network: Network) -> Callable[[Params, Ids], float]:
    """Compile a function ``(params, ids) -> nats per character``.

    The function reads N ids, of any integer type, as one stream from a fresh carry and predicts the
    N - 1 characters after the first. Sums are kept in float64 on the host. Of mapped ids nothing
    stays in memory.

    Raises (the function):
        CorpusError: there are fewer than two characters.
    """

    @jax.jit
    def read(params: Params, carry: Carry, ids: jax.Array, weights: jax.Array) -> Any:
        def window(carry: Carry, item: Any) -> tuple[Carry, jax.Array]:
            inputs, targets, weights = item
            logits, carry = network.unroll(params, carry, inputs[:, None])
            return carry, jnp.sum(nats_of(logits[:, 0], targets) * weights)

        shape = (_WINDOWS, _WINDOW)
        items = (ids[:-1].reshape(shape), ids[1:].reshape(shape), weights.reshape(shape))
        return jax.lax.scan(window, carry, items)

    def score(params: Params, ids: Ids) -> float:
        predicted = len(ids) - 1
        if predicted < 1:
            raise CorpusError(f"cannot evaluate {len(ids)} characters; expected at least 2")
        room = _WINDOW * _WINDOWS
        carry, total = network.initial_carry(params, 1), 0.0
        for start in range(0, predicted, room):
            piece = np.asarray(ids[start : start + room + 1], np.int32)
            give_back(ids)
            padded = np.pad(piece, (0, room + 1 - len(piece)))
            weights = (np.arange(room) < len(piece) - 1).astype(np.float32)
            carry, nats = read(params, carry, padded, weights)
            total += float(np.sum(np.asarray(nats, np.float64)))
        return total / predicted

    return score
