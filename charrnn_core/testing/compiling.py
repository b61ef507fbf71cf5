"""Programs compiled with few optimisations, since they run only briefly."""

from collections.abc import Callable
from typing import Any

import jax

_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``jax.jit`` with little optimisation: compiling takes most of a check's time.

    >>> float(compiled(lambda x: 2 * x)(3.0))
    6.0
    """
    return jax.jit(function, compiler_options=_QUICKLY)
