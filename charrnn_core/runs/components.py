"""Building components from plugins' targets, and checking that they keep their contracts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from charrnn_core.blame import Call, a_pair, outlined
from charrnn_core.errors import CharRNNError, shown
from charrnn_core.network.pytree import form
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

_CALLED = "its target is called as target(options) and must return"
_LOSS = "loss(logits, targets, weights) must return one number, the mean nats per character"
_UPDATE = "update(grads, state, params) must return (changes, state), shaped as params and state"
_MUST = {
    "loss": f"{_CALLED} a function loss(logits, targets, weights)",
    "sampler": f"{_CALLED} a function sampler(key, logits, state)",
    "observer": f"{_CALLED} an object with methods such as on_step(event)",
    "optimizer": (
        "its target is called as target(options, total_steps) and must return an "
        "optax.GradientTransformation"
    ),
}


def make(registry: Registry, kind: str, ref: Ref) -> Any:
    """Build a loss, a sampler or an observer.

    Raises:
        PluginError: the author's code fails; the message starts with the file and line.
    """
    target, options = registry.load(kind, ref), registry.options(kind, ref)
    call = Call(f"{kind} {ref.use!r}", target, _MUST[kind])
    with call:
        made = target(options)
    bound_later = kind == "sampler" and callable(getattr(made, "bind", None))
    if kind != "observer" and not callable(made) and not bound_later:
        raise call.fault(f"returns {shown(made)}")
    return made


def make_loss(registry: Registry, ref: Ref) -> Callable[..., jax.Array]:
    """Build a loss that raises `PluginError` if it fails or does not return one number."""
    loss = make(registry, "loss", ref)

    def checked(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        got = {"logits": logits, "targets": targets, "weights": weights}
        call = Call(f"loss {ref.use!r}", loss, _LOSS, got)
        with call:
            nats = loss(logits, targets, weights)
        if not _is_number(nats):
            raise call.fault(f"returns {outlined(nats)}")
        return nats

    return checked


def _is_number(value: Any) -> bool:
    is_float = jnp.issubdtype(getattr(value, "dtype", type(value)), jnp.floating)
    return is_float and jnp.shape(value) == ()


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
        call = Call(who, target, _MUST["optimizer"], let=(jax.errors.JAXTypeError,))
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
