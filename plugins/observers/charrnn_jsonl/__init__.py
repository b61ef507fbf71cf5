"""The metrics log, as a plugin."""

from charrnn_core import ObserverPlugin, hookimpl


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="jsonl",
        target="charrnn_jsonl.observer:JSONLObserver",
        summary="writes metrics.jsonl, one object per line, into the run directory",
    )
