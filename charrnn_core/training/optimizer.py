"""Building an optimizer from a plugin's target, and checking that it keeps its contract."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from charrnn_core.blame import Call, a_pair, outlined
from charrnn_core.errors import CharRNNError, shown
from charrnn_core.network.pytree import form
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

_MUST = (
    "its target is called as target(options, total_steps) and must return an "
    "optax.GradientTransformation"
)
_UPDATE = "update(grads, state, params) must return (changes, state), shaped as params and state"


def optimizer_maker(
    registry: Registry, ref: Ref
) -> Callable[[jax.Array | int], optax.GradientTransformation]:
    """Return a function from the number of updates to an optimizer that checks its own calls.

    Raises (the function):
        PluginError: the target does not return an optimizer, or the author's code fails.
        CharRNNError: the optimizer needs the number of updates, which is not known yet.
    """
    target, options = registry.load("optimizer", ref), registry.options("optimizer", ref)
    who = f"optimizer {ref.use!r}"

    def make(total_steps: jax.Array | int) -> optax.GradientTransformation:
        call = Call(who, target, _MUST, let=(jax.errors.JAXTypeError,))
        try:
            with call:
                made = target(options, total_steps)
        except jax.errors.JAXTypeError as error:  # it needs the value of a traced number
            raise CharRNNError(
                f"{who} needs to know the number of updates in advance; use --epochs instead of "
                "--minutes"
            ) from error
        if not callable(getattr(made, "init", None)) or not callable(getattr(made, "update", None)):
            raise call.fault(f"returns {shown(made)}")
        return _checked(who, made)

    return make


def _checked(who: str, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return the optimizer, raising `PluginError` if a call fails or changes shapes."""

    def init(params: optax.Params) -> optax.OptState:
        with Call(f"init of {who}", optimizer.init, "init(params) must return its initial state"):
            return optimizer.init(params)

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        call = Call(f"an update of {who}", optimizer.update, _UPDATE)
        with call:
            result = optimizer.update(updates, state, params)
        if not a_pair(result):
            raise call.fault(f"returns {outlined(result)}")
        changes, after = result
        if form(after) != form(state):
            raise call.fault(f"changes a state {outlined(state)} into {outlined(after)}")
        shapes = [jax.tree.map(jnp.shape, tree) for tree in (changes, updates)]
        if shapes[0] != shapes[1]:
            raise call.fault(
                f"returns changes {outlined(changes)} for gradients {outlined(updates)}"
            )
        return changes, after

    return optax.GradientTransformation(init, update)
