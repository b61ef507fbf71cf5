"""Progress on the terminal, as a plugin."""

from charrnn_core import ObserverPlugin, hookimpl


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="progress",
        target="charrnn_progress.observer:progress",
        summary="shows loss, speed, time left and samples: a bar; a curve in a notebook",
    )
