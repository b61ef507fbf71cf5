"""Times that users type, such as 90s, 20m and 1.5h."""

import re

_TIME = re.compile(r"(?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)(?P<unit>s|m|min|h)")
_MINUTES = {"s": 1 / 60, "m": 1.0, "min": 1.0, "h": 60.0}


def read_minutes(text: str) -> float | None:
    """Return the minutes of a time; None if the text is no time.

    >>> read_minutes("90s"), read_minutes("1.5h"), read_minutes("5M")
    (1.5, 90.0, None)
    """
    if not (time := _TIME.fullmatch(text)):
        return None
    return float(time["number"]) * _MINUTES[time["unit"]]
