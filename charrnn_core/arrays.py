"""Names for arrays and trees of arrays, which say what they hold and in which shape.

The letters of a shape, here and everywhere in charrnn:

* T, the length of a window; time is always the first axis;
* B, the batch: how many streams are read side by side;
* V, the size of the alphabet: how many symbols there are;
* H, features: how wide a layer is.

A checker sees an array behind every name: the shapes are for the reader. jax is imported for
checkers alone, so that modules which have to be imported quickly can use these names too.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import jax

    Array: TypeAlias = jax.Array
    Shaped: TypeAlias = jax.Array | jax.ShapeDtypeStruct
else:
    Array: TypeAlias = Any
    Shaped: TypeAlias = Any
    """An array, or its shape where that is enough."""

Tree: TypeAlias = Any
"""A pytree of arrays, or of their shapes."""

Structure: TypeAlias = Any
"""The structure of a tree, as `jax.tree.structure` gives it; pyright knows no type for it."""

Params: TypeAlias = Tree
"""Parameters: of a cell as its author nests them, of a network a dict with its parts."""

Carry: TypeAlias = Tree
"""The state of a cell between two steps; every leaf has the batch as its first axis: ``[B, ...]``.
"""

Leaves: TypeAlias = list[Array]
"""The leaves of a tree in jax's order; a step's arguments and results are handled as these."""

Ids: TypeAlias = Array
"""``int32[T,B]``, or ``int32[B]`` of one step: characters as their places in the alphabet."""

Reset: TypeAlias = Array
"""``bool[T,B]``: True where a stream starts from a fresh carry before it reads a character."""

Inputs: TypeAlias = Array
"""``float32[T,B,H]``, or ``float32[B,H]`` of one step: what a cell reads."""

Outputs: TypeAlias = Array
"""``float32[T,B,H]``, or ``float32[B,H]`` of one step: what a cell gives."""

Logits: TypeAlias = Array
"""``float32[T,B,V]``, or ``float32[B,V]`` of one step: unnormalised log probabilities."""

Key: TypeAlias = Array
"""A random key of `jax.random.key`."""
