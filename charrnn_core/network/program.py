"""Programs: jitted functions that can be compiled before they are needed."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import jax

from charrnn_core.arrays import Shaped, Tree


class Program:
    """A jitted function that can be compiled ahead of time, in any thread, from shapes alone.

    A call that comes while the program is being compiled waits for it rather than compile it again.

    Arguments:
        function: a pure function of pytrees.
        static: the names of arguments that are part of the program.

    >>> double = Program(lambda x: 2 * x)
    >>> double.ahead(jax.ShapeDtypeStruct((3,), "float32")).shape
    (3,)
    >>> double(jax.numpy.ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(self, function: Callable[..., Any], static: Iterable[str] = ()) -> None:
        self._function = jax.jit(function, static_argnames=tuple(static))
        self._compiling = threading.Lock()

    def __call__(self, *args: Any, **static: Any) -> Any:
        """Run the program."""
        with self._compiling:
            pass
        return self._function(*args, **static)

    def ahead(self, *args: Any, **static: Any) -> Tree:
        """Compile the program for arguments like these, and return the shapes of its results.

        Arguments:
            args: arrays, or shapes with the sharding that arrays will have; numbers and arrays of
                NumPy have none. Calls with such arguments find the program compiled.
        """
        with self._compiling:
            compiled = self._function.lower(*args, **static).compile()
        return jax.tree.map(_placed, compiled.out_info, compiled.output_shardings)


def _placed(leaf: Shaped, sharding: jax.sharding.Sharding) -> Shaped:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def placed_shapes(tree: Tree, sharding: jax.sharding.Sharding) -> Tree:
    """Return the shapes of a tree of arrays, or of shapes, once placed so.

    >>> here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    >>> placed_shapes(jax.numpy.ones((2, 3)), here).shape
    (2, 3)
    """
    return jax.tree.map(lambda leaf: _placed(leaf, sharding), tree)
