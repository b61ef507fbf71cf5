"""Feed a target its nasty inputs in a process of little memory: ``python limited.py TARGET``.

Prints the seconds that each took and the most memory that any took; leaves with an error for the
first that is not handled.
"""

import faulthandler
import resource
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz.nasty import nasty  # noqa: E402  # the path is needed first
from tests.fuzz.targets import TARGETS  # noqa: E402

MEMORY = 2 << 30
SECONDS = 20


def main(target: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    failed = 0
    for name, data in nasty(target):
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        started = time.monotonic()
        try:
            TARGETS[target](data)
        except BaseException:
            failed += 1
            print(f"{target}: {name} ({len(data)} bytes)", file=sys.stderr)
            traceback.print_exc(limit=-4)
        print(f"{time.monotonic() - started:.3f} {name}")
    faulthandler.cancel_dump_traceback_later()
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB at most")
    sys.exit(min(failed, 1))


if __name__ == "__main__":
    main(sys.argv[1])
