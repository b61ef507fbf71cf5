"""What each character of a text is part of, as a reader would know it once it has been read."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

Feature = npt.NDArray[np.float64]

_OPENS = {"(": ")", "[": "]", "{": "}"}
_CLOSES = set(_OPENS.values())


def features(text: str) -> dict[str, Feature]:
    """Return the features of a text by name, ``float64[T]`` each, 0 or 1 where they are yes or no.

    A feature that is the same at every character, or the same as another, is left out.

    Source: Karpathy, Johnson and Fei-Fei 2015, arXiv 1506.02078, where units follow quotations,
    brackets, the position in a line.

    >>> {name: values.astype(int).tolist() for name, values in features('Ai "b"\\n').items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'in quotation': [0, 0, 0, 1, 1, 0, 0], 'position in line': [1, 2, 3, 4, 5, 6, 0],
     'position in word': [1, 2, 0, 0, 1, 0, 0], 'upper case': [1, 0, 0, 0, 0, 0, 0],
     'time since a newline, log': [0, 1, 1, 1, 1, 1, 0], 'next is a space': [0, 1, 0, 0, 0, 0, 0]}
    """
    kept: dict[str, Feature] = {}
    for name, feature in _FEATURES.items():
        values = np.fromiter(feature(text), np.float64, len(text))
        constant = not len(values) or (values == values[0]).all()
        if not constant and not any(np.array_equal(values, other) for other in kept.values()):
            kept[name] = values
    return kept


def in_quotation(text: str) -> list[bool]:
    """Say of each character whether a quotation is open once it has been read.

    “ opens one and ” closes it; a straight " does either in turn. A blank line closes all, so that
    one mark too many does not turn the rest of a text inside out.

    >>> "".join("x" if inside else "." for inside in in_quotation('a "b" “c” "d\\n\\n"e"'))
    '..xx..xx..xxx.xx.'
    """
    inside, found = False, []
    for i, character in enumerate(text):
        if character == '"':
            inside = not inside
        elif character in "“”":
            inside = character == "“"
        elif text[max(0, i - 1) : i + 1] == "\n\n":
            inside = False
        found.append(inside)
    return found


def depth_of_brackets(text: str) -> list[int]:
    """Return how many brackets are open once each character has been read.

    Only brackets that are closed again, by their own kind, count: that of ``:(`` does not.

    >>> depth_of_brackets("f(a[0]) :( b")
    [0, 1, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0]
    """
    steps, open_ones = [0] * len(text), []
    for i, character in enumerate(text):
        if character in _OPENS:
            open_ones.append(i)
        elif character in _CLOSES:
            fitting = [at for at in open_ones if _OPENS[text[at]] == character]
            if fitting:
                steps[fitting[-1]], steps[i] = 1, -1
                del open_ones[open_ones.index(fitting[-1]) :]
    return np.cumsum(steps, dtype=int).tolist()


def since_newline(text: str) -> list[int]:
    """Return how many characters have been read since the last newline, or since the beginning.

    >>> since_newline("ab\\nc")
    [1, 2, 0, 1]
    """
    return _run_lengths(character != "\n" for character in text)


def in_heading(text: str) -> list[bool]:
    """Say of each character whether its line is a speaker's name or a heading.

    Such a line ends with a colon, or has two letters or more and none in lower case.

    >>> in_heading("ANN:\\nHo!\\nACT I\\n").count(True)
    11
    """
    found: list[bool] = []
    for line in text.splitlines(keepends=True):
        letters = sum(map(str.isalpha, line))
        heading = line.rstrip().endswith(":") or (letters > 1 and line.upper() == line)
        found += [heading] * len(line)
    return found


def _run_lengths(goes_on: Iterable[bool]) -> list[int]:
    """Return for each place how many in a row, up to it, go on."""
    length, found = 0, []
    for yes in goes_on:
        length = length + 1 if yes else 0
        found.append(length)
    return found


def _in_lines(text: str) -> list[int]:
    """Return `since_newline`, or zeros for a text without lines."""
    return since_newline(text) if "\n" in text else [0] * len(text)


_FEATURES: dict[str, Callable[[str], Iterable[float]]] = {
    "in quotation": in_quotation,
    "in brackets": lambda text: np.minimum(depth_of_brackets(text), 1),
    "depth of brackets": depth_of_brackets,
    "position in line": _in_lines,
    "position in word": lambda text: _run_lengths(map(str.isalpha, text)),
    "upper case": lambda text: map(str.isupper, text),
    "digit": lambda text: map(str.isdigit, text),
    "speaker or heading": in_heading,
    "time since a newline, log": lambda text: np.log1p(_in_lines(text)),
    "next is a space": lambda text: [after == " " for after in [*text[1:], ""]][: len(text)],
}
