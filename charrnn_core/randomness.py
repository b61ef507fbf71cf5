"""Random keys: every draw comes from ``fold_in(seed, purpose, step)``, so no key is ever saved."""

import operator
from functools import partial
from typing import Any

import jax
import numpy as np

from charrnn_core.errors import OptionError, shown

SEEDS = 2**32
"""The number of seeds; jax reduces larger ones modulo this."""

PURPOSES = {"init": 0, "data": 1, "sample": 2, "dropout": 3}
"""The purposes of randomness, each with an independent stream."""


def check_seed(seed: Any) -> int:
    """Return the seed as an integer.

    Raises:
        OptionError: it is not an integer, or out of bounds.

    >>> check_seed(np.uint8(7))
    7
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < SEEDS:
        raise OptionError(f"seed is {shown(seed)}; expected an integer from 0 to {SEEDS - 1}")
    return number


def random_key(seed: int | jax.Array, purpose: str, step: int | jax.Array = 0) -> jax.Array:
    """Return the key of one draw inside jax, where the seed may be an argument: ``uint32``.

    Raises:
        OptionError: see `check_seed`.

    >>> bool((random_key(0, "init") == random_key(0, "sample")).all())
    False
    """
    number = seed if isinstance(seed, jax.Array) else np.uint32(check_seed(seed))
    return _key(number, np.uint32(PURPOSES[purpose]), step)


@partial(jax.jit, inline=True)
def _key(seed: jax.Array, purpose: jax.Array, step: jax.Array) -> jax.Array:
    """Return the key as one program for all seeds and purposes."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), purpose), step)


def random_below(bound: int, seed: int, purpose: str, step: int = 0) -> int:
    """Draw an integer in ``[0, bound)`` on the host.

    NumPy keeps the raw bits of Philox stable across versions, but not its distributions; the bias
    of the modulo is below ``bound / 2**64``.

    Raises:
        OptionError: see `check_seed`.

    >>> 0 <= random_below(10, seed=0, purpose="data", step=3) < 10
    True
    """
    entropy = np.random.SeedSequence([check_seed(seed), PURPOSES[purpose], step])
    return int(np.random.Philox(entropy).random_raw()) % bound
