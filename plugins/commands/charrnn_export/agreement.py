"""Whether an exported step predicts what the model predicts."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.errors import ExportError
from charrnn_core.javascript.split import Numbers
from charrnn_export.step import Step
from charrnn_export.variant import Variant

_READ = 300
_MOST = 1e-5


def checked(variant: Variant, step: Step, call: Callable[..., Sequence[Numbers]]) -> str:
    """Compare the log-probabilities of all symbols over a text that the model writes.

    Single precision has seven digits, and a log-probability such as -17 has two of them before the
    point: differences up to 1e-5 of the number, or up to 1e-5 for those below 1, are allowed.

    Arguments:
        call: the step, read back from the file: ``log p, *carry' = call(id, *carry)``.

    Returns:
        What to say of it.

    Raises:
        ExportError: they differ more.
    """
    network, params = variant.model.network, jax.tree.map(jnp.asarray, variant.params)
    model = jax.jit(lambda carry, ids: network.step(params, carry, ids))
    carry, drawn, symbol = network.initial_carry(params, 1), np.random.default_rng(0), 0
    leaves: Sequence[Numbers] = step.start
    wanted, found = [], []
    for _ in range(_READ):
        logits, carry = model(carry, jnp.array([symbol], jnp.int32))
        wanted.append(np.asarray(jax.nn.log_softmax(logits)))
        log_p, *leaves = call(np.array([symbol], np.int32), *leaves)
        found.append(np.asarray(log_p))
        p = np.exp(wanted[-1][0].astype(np.float64))
        symbol = int(drawn.choice(len(p), p=p / p.sum()))
    off = np.abs(np.array(found) - np.array(wanted))
    largest = off.max()
    if not (off <= _MOST * np.maximum(1, np.abs(wanted))).all():  # nor if it is not a number
        raise ExportError(
            f"what was made predicts something else: over {_READ} characters, log-probabilities "
            f"are off by up to {largest:.1e}; expected at most {_MOST:.0e} of each: nothing was "
            "written"
        )
    return f"checked   {_READ} characters: log-probabilities differ by at most {largest:.1e}"
