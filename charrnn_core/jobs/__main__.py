"""Run a charrnn command that stops when the process that started it ends, however that ends.

That process holds the other end of standard input. When it is gone, the command gets SIGTERM, upon
which a training saves and stops; so a worker that is killed leaves nothing behind that computes.
"""

import os
import signal
import threading

from charrnn.cli import main  # pyright: ignore[reportMissingImports]  # ./cli.py, installed


def _watch(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # workers have signals blocked, see `parallel`
    threading.Thread(target=_watch, args=(0,), daemon=True).start()
    main()
