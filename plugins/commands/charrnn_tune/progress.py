"""The progress of a tuning, over all of its units."""

from charrnn_core.console.bar import Bar


class Display(Bar):
    """A bar over the whole, and a line for each training that ends."""

    def at(self, line: str, done: float, is_new: bool = True) -> None:
        """Print a line about a training that has ended.

        Arguments:
            line: the line.
            done: how many units are done.
            is_new: whether that training was made now, not before an interruption.
        """
        if not is_new:
            self.before = done
        self.show(done)
        if is_new:
            self.say(f"{done / self.total:4.0%}  {line}")
