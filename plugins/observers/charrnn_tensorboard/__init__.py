"""TensorBoard's event files, as a plugin."""

from charrnn_core import ObserverPlugin, hookimpl


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="tensorboard",
        target="charrnn_tensorboard.observer:tensorboard",
        summary="writes losses, speed, samples and settings for TensorBoard into a run",
    )
