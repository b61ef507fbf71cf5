"""Reading a file of settings, which is TOML."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn_core.errors import CorpusError, OptionError
from charrnn_core.files.atomic import explained, user_path
from charrnn_core.files.regular import named
from charrnn_core.registry.options import check_plain
from charrnn_core.text.decode import decode_text

_LARGEST_TOML = 2**20
_MOST_KEY_PARTS = 32
# tomllib's memory grows with the square of a dotted key's parts: 40 kB of "a.a.a" take 1.5 GB.
_KEY_PART = r"""(?>[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(
    rf"""(?<![\w-]){_KEY_PART}(?>[ \t]*+\.[ \t]*+{_KEY_PART}){{{_MOST_KEY_PARTS}}}"""
)


def read_toml(path: Path, opener: Callable[[str, int], int] = named) -> dict[str, Any]:
    """Read a TOML file.

    Arguments:
        path: the file.
        opener: from `charrnn_core.files.regular`: `own` for a file of a run, `named` for a file
            that a user names, which may be a link.

    Raises:
        StorageError: the file cannot be read, or is not a regular file.
        OptionError: it is not TOML; the message names the line.
    """
    path = user_path(path)
    with explained("read", path), open(path, "rb", opener=opener) as file:
        data = file.read(_LARGEST_TOML + 1)  # a wrong file may be endless
    if len(data) > _LARGEST_TOML:
        raise OptionError(f"{path} has more than {_LARGEST_TOML} bytes; expected settings in TOML")
    try:
        text = decode_text(data, str(path))
        if _LONG_KEY.search(text):
            raise ValueError(f"a key has more than {_MOST_KEY_PARTS} parts")
        values = tomllib.loads(text)
    except CorpusError as error:
        raise OptionError(f"{error}; settings must be TOML, encoded in UTF-8") from error
    except RecursionError as error:
        raise OptionError(f"{path} has values that are nested too deep") from error
    except ValueError as error:  # from tomllib, also for an integer of 5000 digits, or from above
        raise OptionError(f"{path} is not TOML: {error}") from error
    try:
        check_plain(values)
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error
    return values
