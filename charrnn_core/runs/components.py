"""Building components from plugins' targets, and checking that they keep their contracts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from charrnn_core.blame import Call, outlined
from charrnn_core.errors import shown
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref

_CALLED = "its target is called as target(options) and must return"
_LOSS = "loss(logits, targets, weights) must return one number, the mean nats per character"
_MUST = {
    "loss": f"{_CALLED} a function loss(logits, targets, weights)",
    "sampler": f"{_CALLED} a function sampler(key, logits, state)",
    "observer": f"{_CALLED} an object with methods such as on_step(event)",
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
