"""An observer that keeps every event it gets."""


class Recorder:
    def __init__(self):
        self.events = []

    def __getattr__(self, name):
        if name.startswith("on_"):
            return self.events.append
        raise AttributeError(name)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]
