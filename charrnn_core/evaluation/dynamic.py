"""Dynamic evaluation: a model that keeps learning from the text it has just been scored on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.cell import Carry, Params
from charrnn_core.engine.fallback import warn
from charrnn_core.errors import CorpusError
from charrnn_core.evaluation.scoring import Measure, Nats, log_p_of, nats_of
from charrnn_core.network.context import without_rows
from charrnn_core.network.counts import COUNTS, Table, without_counts
from charrnn_core.network.network import Network
from charrnn_core.network.portion import Portion, portion_read
from charrnn_core.network.program import Program
from charrnn_core.runs.programs import Programs
from charrnn_core.text.alphabet import Ids
from charrnn_core.text.mapped import give_back
from charrnn_core.text.split import Piece

RATES = (2.5e-4, 5e-4, 1e-3, 2e-3)
"""The learning rates to try on the training text."""

_TRIED = 10_000
_SAMPLED = 256
_WINDOWS_PER_CALL = 64


class Dynamic:
    """A scorer that reads a text window by window and learns from each window once scored.

    ``w' = w - rate * g / (r + e) + min(decay * r / e, 1) * (w_0 - w)``, where g is the gradient of
    a window's mean nats, r the root of the mean square of such gradients at the end of the training
    text, e the mean of all r, and w_0 the trained parameters.

    Of a context's table only the rows that a window reads change, and e is without them. The
    network learns alone, as in its training; what is scored is mixed with the model's counts.

    The text is read as one stream: the parameters carry over from piece to piece, while the carry
    starts afresh in each. Nothing is tuned on held-out text: the rate is the one of `RATES` that
    scores the last 10,000 characters of the training text best, and the rest is fixed.

    Arguments:
        network: any network.
        params: its trained parameters, w_0.
        training: the training text, in ids.
        rate: a learning rate to use instead of the best of `RATES`.
        decay: how fast the parameters return to w_0.
        window: T, characters per update.
        programs: where to keep what is compiled.

    Raises:
        CorpusError: the training text has fewer than two characters.

    Source: Krause, Kahembwe, Murray and Renals, Dynamic Evaluation of Neural Sequence Models, 2018,
    arXiv 1709.07432. There e is a constant beside r; here it follows the gradients, so that the
    same rates serve networks of all sizes.

    >>> import flax.linen as nn
    >>> from charrnn_core.cell import as_cell
    >>> network = Network(as_cell(nn.GRUCell(4)), symbols=6)
    >>> text = np.arange(200) % 6
    >>> dynamic = Dynamic(network, network.init(jax.random.key(0)), text[:60], rate=0.01)
    >>> nats = np.concatenate([*dynamic.score([Piece(5, text)])])
    >>> nats.shape, bool(nats[:9].mean() > nats[-9:].mean())
    ((200,), True)
    """

    def __init__(
        self,
        network: Network,
        params: Params,
        training: Ids,
        *,
        rate: float | None = None,
        decay: float = 1e-3,
        window: int = 20,
        programs: Programs | None = None,
    ) -> None:
        if len(training) < 2:
            raise CorpusError(
                f"the training text has {len(training)} characters; expected at least 2"
            )
        self.decay = decay
        self.window = window
        self._learner = (programs or Programs()).get(
            ("learn", decay, window), lambda: _Learner(network, decay, window)
        )
        self._device = jax.devices()[0]
        self._params = jax.device_put(without_counts(params), self._device)
        self._table = jax.device_put(params.get(COUNTS), self._device)
        self._roots = self._root_mean_squares(training)
        self.rate = self._best_rate(training) if rate is None else rate

    @property
    def name(self) -> str:
        """The name in a table, with the settings."""
        return f"dynamic, rate {self.rate:g}, decay {self.decay:g}, window {self.window}"

    def score(self, pieces: Sequence[Piece]) -> Iterator[Nats]:
        """Yield the nats of every character, in order, as float32 arrays."""
        return self._score(pieces, self.rate, table=self._table)

    def log_p(self, pieces: Sequence[Piece]) -> Iterator[Nats]:
        """Yield the log-probabilities of all symbols at every character, each float32[n,V]."""
        return self._score(pieces, self.rate, log_p_of, self._table)

    def _score(
        self,
        pieces: Sequence[Piece],
        rate: float,
        measure: Measure = nats_of,
        table: Table | None = None,
    ) -> Iterator[Nats]:
        params = self._params
        for piece in pieces:
            carry = self._learner.begin(params)
            for windows in self._calls(piece):
                before = self._params, self._roots, np.float32(rate), params, carry, table
                params, carry, measured = self._learner.learn(*before, windows, measure=measure)
                yield np.asarray(measured)[windows[2] > 0]

    def _best_rate(self, training: Ids) -> float:
        tried = training[-_TRIED - 1 :]
        piece = Piece(int(tried[0]), tried[1:])
        sums = [
            sum(float(nats.sum(dtype=np.float64)) for nats in self._score([piece], rate))
            for rate in RATES
        ]
        # A rate that makes the model overflow must not win; argmin would take NaN as the least.
        return RATES[int(np.argmin(np.nan_to_num(sums, nan=np.inf)))]

    def _calls(self, piece: Piece) -> Iterator[tuple[Any, Any, Any]]:
        """Yield a piece as inputs, targets and weights [K,T]; the last ones are padded."""
        before, ids = piece
        shape = (_WINDOWS_PER_CALL, self.window)
        room = _WINDOWS_PER_CALL * self.window
        for start in range(0, len(ids), room):
            targets = np.asarray(ids[start : start + room], np.int32)
            give_back(ids)
            inputs = np.concatenate([np.array([before], np.int32), targets[:-1]])
            weights = np.ones(len(targets), np.float32)
            before, pad = int(targets[-1]), (0, room - len(targets))
            yield (
                np.pad(inputs, pad).reshape(shape),
                np.pad(targets, pad).reshape(shape),
                np.pad(weights, pad).reshape(shape),
            )

    def _root_mean_squares(self, training: Ids) -> Params:
        """Return the root mean square of each element of the gradient, over the last windows."""
        count = min(_SAMPLED, max(1, (len(training) - 1) // self.window))
        last = training[-count * self.window - 1 :]
        zeros = jax.tree.map(lambda w: np.zeros(w.shape, w.dtype), self._params)
        squares, carry = jax.device_put(zeros, self._device), self._learner.begin(self._params)
        for windows in self._calls(Piece(int(last[0]), last[1:])):
            squares, carry = self._learner.add_squares(self._params, squares, carry, windows)
        return self._learner.roots(squares, np.float32(count))


class _Learner:
    """What a `Dynamic` does on the device; the arguments are those of it."""

    def __init__(self, network: Network, decay: float, window: int) -> None:
        network, choice = network.settled(1, window)
        if choice.failed:
            warn(choice.why)
        rules = _Rules(network, decay)
        self.begin = Program(partial(network.initial_carry, batch=1))
        self.learn = Program(rules.learn, static=["measure"])
        self.add_squares = Program(rules.add_squares)
        self.roots = Program(_roots)


@dataclass(frozen=True)
class _Rules:
    """How parameters change with the windows of a text, each ``(inputs, targets, weights): [T]``.

    Arguments:
        network, decay: those of a `Dynamic`.
    """

    network: Network
    decay: float

    def portion(self, carry: Carry, window: Any) -> Portion:
        """Return what a window uses of the parameters."""
        return portion_read(self.network, carry, window[0][:, None])

    def gradient(
        self,
        portion: Portion,
        params: Params,
        carry: Carry,
        window: Any,
        measure: Measure = nats_of,
        table: Table | None = None,
    ) -> tuple[Params, Carry, Any]:
        """Return the gradient of a window's mean nats, the carry after it, and what is measured.

        The parameters and the gradient are the portion's.
        """
        inputs, targets, weights = window[0][:, None], *window[1:]

        def objective(params: Params) -> Any:
            logits, after = self.network.unroll(params, carry, inputs, lookup=portion.lookup())
            nats = nats_of(logits[:, 0], targets)
            mixed = self.network.mixed(table, carry, inputs, logits)
            measured = measure(mixed[:, 0], targets)
            return jnp.mean(nats * weights), (after, measured)  # padding costs 0

        grads, (after, measured) = jax.grad(objective, has_aux=True)(params)
        return grads, after, measured

    def learn(
        self,
        trained: Params,
        roots: Params,
        rate: Any,
        params: Params,
        carry: Carry,
        table: Table | None,
        windows: Any,
        *,
        measure: Measure,
    ) -> tuple[Params, Carry, jax.Array]:
        """Score windows in order, and learn from each."""
        leaves = jax.tree.leaves(without_rows(roots))
        e = sum(jnp.sum(r) for r in leaves) / sum(r.size for r in leaves)

        def step(before: Any, window: Any) -> Any:
            params, carry = before
            portion = self.portion(carry, window)
            some, *known = (portion.take(tree) for tree in (params, trained, roots))
            grads, carry, measured = self.gradient(portion, some, carry, window, measure, table)
            counts = window[2][0]  # 0 for a window of padding, which must not decay the parameters

            def changed(w: jax.Array, w_0: jax.Array, r: jax.Array, g: jax.Array) -> jax.Array:
                back = jnp.minimum(self.decay * r / e, 1.0)
                return w + counts * (back * (w_0 - w) - rate * g / (r + e))

            after = jax.tree.map(changed, some, *known, grads)
            return (portion.put(params, after), carry), measured

        (params, carry), measured = jax.lax.scan(step, (params, carry), windows)
        return params, carry, measured

    def add_squares(
        self, params: Params, squares: Params, carry: Carry, windows: Any
    ) -> tuple[Params, Carry]:
        """Add the squares of the gradients of windows."""

        def one(before: Any, window: Any) -> Any:
            squares, carry = before
            portion = self.portion(carry, window)
            grads, carry, _ = self.gradient(portion, portion.take(params), carry, window)
            added = jax.tree.map(lambda s, g: s + g * g, portion.take(squares), grads)
            return (portion.put(squares, added), carry), None

        return jax.lax.scan(one, (squares, carry), windows)[0]


def _roots(squares: Params, count: Any) -> Params:
    return jax.tree.map(lambda s: jnp.sqrt(s / count), squares)
