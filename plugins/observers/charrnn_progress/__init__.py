"""Progress on the terminal, as a plugin."""

from charrnn_core import ObserverPlugin, hookimpl


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="progress",
        target="charrnn_progress.observer:progress",
        summary="shows a bar with loss, speed, time left and samples; in a notebook a curve, in a file lines",
    )
