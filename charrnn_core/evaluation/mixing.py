"""A model mixed with n-gram counts, with weights that are learnt from the text that was scored."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from charrnn_core.evaluation.adaptive import AdaptiveNGrams, Predicted
from charrnn_core.evaluation.scoring import Nats
from charrnn_core.network.program import Program
from charrnn_core.runs.programs import Programs
from charrnn_core.sampling.mixing import START, SURE, mixed_log_p, sureness
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.ngrams import ORDER
from charrnn_core.text.split import Piece

RATE = 0.003
"""The learning rate of the weights: on book 520, 0.002 and 0.005 differ by 0.001 nats."""


class Mixture:
    """Mixes the predictions of a model with adaptive counts, in one pass over a text.

    ``q(x) = p_model(x)^w_1 p_counts(x)^w_2 / Z``, and after each character, once it is scored,
    ``w_i' = max(w_i + rate * (log p_i(x) - E_q log p_i), 0)``: a step up the gradient of log q(x).
    There are four pairs of weights, for places where the counts are more or less sure: where
    their largest probability is at most 0.3, 0.6, 0.9 or 1.

    Nothing is tuned on the text: the weights start from `START`, the rate is `RATE`, and both they
    and the counts change only with what has been scored. They go on from piece to piece.

    Arguments:
        training: the training text, in ids, where the counts start.
        symbols: V.
        order: the most characters that the counts look back.
        rate: the learning rate of the weights.
        at_a_time: how many characters to mix at a time; bounds the memory for probabilities.
        programs: where to keep what is compiled.

    Sources: `charrnn_core.sampling.mixing`. Mahoney mixes predictions of bits, and a small context
    chooses the weights; here those are of symbols, and the counts' sureness chooses. The rate is
    constant. Mattern's weights must not be negative, too.

    >>> text = np.array([0, 1] * 50)
    >>> mixture = Mixture(text, symbols=2)
    >>> uniform = np.full((100, 2), np.log(0.5), np.float32)
    >>> [(model, mixed)] = mixture.nats([uniform], [Piece(1, text)])
    >>> round(float(model.mean()), 3), bool(mixed.mean() < 0.1)
    (0.693, True)
    """

    def __init__(
        self,
        training: Ids,
        symbols: int,
        order: int = ORDER,
        *,
        rate: float = RATE,
        at_a_time: int | None = None,
        programs: Programs | None = None,
    ) -> None:
        self.name = f"mixed with n-grams, order {order}"
        self._counts = AdaptiveNGrams(training, symbols, order, at_a_time=at_a_time)
        self._mix = (programs or Programs()).get("mix", lambda: Program(_mix))
        self._rate = np.float32(rate)

    def nats(self, log_p: Iterable[Nats], pieces: Sequence[Piece]) -> Iterator[tuple[Nats, Nats]]:
        """Yield the nats of the characters in order, those of the model and those of the mixture.

        Arguments:
            log_p: the model's log-probabilities of all symbols at each character of the pieces, in
                order, as arrays float32[n,V].
            pieces: the text.
        """
        weights = np.tile(np.array(START, np.float32), (len(SURE) + 1, 1))
        size = self._counts.at_a_time
        predictions = self._counts.predict(pieces)
        for model, counts in zip(_in_chunks(log_p, size), predictions, strict=True):
            weights, mixed = self._mix(self._rate, weights, *_padded(model, counts, size))
            n = len(model)
            yield -model[np.arange(n), counts.targets], np.asarray(mixed)[:n]


def _mix(rate: Any, weights: Any, *characters: Any) -> tuple[Any, Any]:
    """Return the weights after some characters, and the nats of the characters.

    Arguments:
        rate: the learning rate.
        weights: float32[4,2].
        characters: the log-probabilities of the model and of the counts, each float32[n,V], and
            int32[n], the symbols; -1 for padding.
    """

    def step(weights: Any, character: Any) -> tuple[Any, Any]:
        model, counts, symbol = character
        which = sureness(counts)
        own = weights[which]
        log_q = mixed_log_p(own, model, counts)
        both = jnp.stack([model, counts])
        gradient = both[:, symbol] - both @ jnp.exp(log_q)
        learnt = jnp.maximum(own + rate * gradient, 0.0)
        return weights.at[which].set(jnp.where(symbol >= 0, learnt, own)), -log_q[symbol]

    return jax.lax.scan(step, weights, characters)


def _in_chunks(arrays: Iterable[Nats], size: int) -> Iterator[Nats]:
    """Yield the rows of all arrays, `size` at a time but for the last.

    >>> [chunk.tolist() for chunk in _in_chunks([np.arange(3), np.arange(1), np.arange(4)], 3)]
    [[0, 1, 2], [0, 0, 1], [2, 3]]
    """
    kept: list[Nats] = []
    for array in arrays:
        while len(array):
            room = size - sum(map(len, kept))
            kept.append(array[:room])
            array = array[room:]
            if sum(map(len, kept)) == size:
                yield np.concatenate(kept)
                kept = []
    if kept:
        yield np.concatenate(kept)


def _padded(model: Nats, counts: Predicted, size: int) -> tuple[npt.NDArray[Any], ...]:
    """Return what the program mixes, so many characters that all calls share a program."""
    pad = size - len(model)
    rows = ((0, pad), (0, 0))
    return (
        np.pad(model, rows),
        np.pad(counts.log_p, rows),
        np.pad(counts.targets, (0, pad), constant_values=-1),
    )
