"""Work that a thread does ahead of time, such as compiling, until its result is asked for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin some work in a thread, and return a function that waits for its result.

    What the work raises is raised where the result is asked for. The thread ends with its work; a
    process that ends sooner waits for it, because a compiler must not lose its process.

    >>> begun(lambda: 6 * 7)()
    42
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="charrnn ahead").start()
    return future.result
