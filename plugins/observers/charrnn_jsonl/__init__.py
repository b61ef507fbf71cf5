"""The metrics log, as a plugin."""

from charrnn_core import ObserverPlugin, hookimpl


@hookimpl
def charrnn_observers():
    yield ObserverPlugin(
        name="jsonl",
        target="charrnn_jsonl.observer:JSONLObserver",
        summary="writes metrics.jsonl and samples.jsonl, one object per line, into a run",
    )
