"""The progress of a benchmark, over all trainings."""

from collections.abc import Mapping

from charrnn_core.console.bar import Bar


class Display(Bar):
    """A bar over all trainings, and a line for each that ends.

    Arguments:
        total: the number of trainings.
        done: the number of them that are done already.
    """

    def __init__(self, total: int, done: int) -> None:
        super().__init__(total, done)
        self._ended = done

    def at(self, shares: Mapping[str, float]) -> None:
        """Show the trainings that run, by title, and which share of each is done, 0 to 1."""
        line = f"{self._ended + 1} of {self.total}  {''.join(shares)}"
        if len(shares) > 1:
            running = "; ".join(f"{title} ({share:.0%})" for title, share in shares.items())
            line = f"{self._ended} of {self.total} done  {running}"
        self.show(self._ended + sum(shares.values()), line)

    def ended(self, line: str) -> None:
        """Count a training that has ended, and print a line about it."""
        self._ended += 1
        self.say(f"[{self._ended} of {self.total}] {line}{self.left(self._ended)}")
