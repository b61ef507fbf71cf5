"""Softmax cross-entropy, as a plugin."""

from charrnn_core import LossPlugin, hookimpl


@hookimpl
def charrnn_losses():
    yield LossPlugin(
        name="crossentropy",
        target="charrnn_crossentropy.loss:crossentropy",
        summary="-log softmax(logits)[target], the maximum-likelihood loss",
    )
