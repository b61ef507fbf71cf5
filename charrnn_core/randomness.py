"""Every random draw comes from ``fold_in(seed, purpose, step)``: no chain of keys is saved."""

import jax
import numpy as np

PURPOSES = {"init": 0, "data": 1, "sample": 2, "dropout": 3}
"""What randomness is for; each purpose has a stream of its own."""


def random_key(seed: int, purpose: str, step: int | jax.Array = 0) -> jax.Array:
    """The key of one draw inside jax.

    >>> bool((random_key(0, "init") == random_key(0, "sample")).all())
    False
    """
    key = jax.random.fold_in(jax.random.key(seed), PURPOSES[purpose])
    return jax.random.fold_in(key, step)


def random_below(bound: int, seed: int, purpose: str, step: int = 0) -> int:
    """An integer in ``[0, bound)`` drawn on the host.

    The raw bits of Philox are stable across NumPy versions, its distributions are not promised to
    be; the modulo's bias is below ``bound / 2**64``.

    >>> 0 <= random_below(10, seed=0, purpose="data", step=3) < 10
    True
    """
    entropy = np.random.SeedSequence([seed, PURPOSES[purpose], step])
    return int(np.random.Philox(entropy).random_raw()) % bound
