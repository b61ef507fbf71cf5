"""The loss of one window, and its gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from charrnn_core.cell import Carry, Params
from charrnn_core.engine.unroll import restart
from charrnn_core.network.network import Network
from charrnn_core.network.portion import Portion, portion_read
from charrnn_core.network.reading import Lookup
from charrnn_core.training.batches import Batch
from charrnn_core.training.moving import Moving

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclass(frozen=True)
class WindowLoss:
    """The loss of a network on one window of its streams.

    Arguments:
        network, loss, streams, moving: those of a `charrnn_core.training.update.Trainer`.
    """

    network: Network
    loss: Loss
    streams: int
    moving: Moving = Moving()

    def gradient(
        self,
        params: Params,
        carry: Carry,
        batch: Batch,
        key: jax.Array,
        readings: jax.Array | None,
    ) -> tuple[Portion, Params, tuple[Carry, jax.Array]]:
        """Return what a window uses of the parameters, its gradient, and what `objective` adds."""
        begun = self.restarted(params, carry, batch)
        portion = portion_read(self.network, begun, batch.inputs)
        gradient = jax.grad(self.objective, has_aux=True)
        found = gradient(portion.take(params), carry, batch, key, portion.lookup(readings))
        return portion, *found

    def restarted(self, params: Params, carry: Carry, batch: Batch) -> Carry:
        """Return the carry, fresh for the streams that begin a text with this batch."""
        return restart(batch.reset, carry, self.network.initial_carry(params, self.streams))

    def objective(
        self,
        params: Params,
        carry: Carry,
        batch: Batch,
        key: jax.Array,
        lookup: Lookup | None = None,
    ) -> tuple[jax.Array, tuple[Carry, jax.Array]]:
        """Return the loss of one window; no gradient flows into the carry it starts from.

        The loss is scaled by the share of characters that are not padding, so that every character
        of an epoch weighs the same in the gradient, even in a padded last window.
        """
        params = self.moving.still(params)
        carry = self.restarted(params, carry, batch)
        logits, carry = self.network.unroll(params, carry, batch.inputs, key=key, lookup=lookup)
        nats = self.loss(logits, batch.targets, batch.weights)
        return nats * jnp.mean(batch.weights), (carry, nats)
