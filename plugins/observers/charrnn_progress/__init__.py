"""Progress on the terminal, as a plugin."""

from charrnn_core import ObserverPlugin, hookimpl


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="progress",
        target="charrnn_progress.observer:ProgressObserver",
        summary="shows a bar with loss, speed and time left, and samples; plain lines in a file",
    )
