"""The targets of the sources ``csv`` and ``jsonl``, which read a column or a field."""

import csv as reading
import dataclasses
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from charrnn_core.errors import CharRNNError, SourceError
from charrnn_core.text.corpus import Corpus, SourceContext
from charrnn_text import CSVOptions, RowOptions
from charrnn_text.files import find_files
from charrnn_text.places import absolute, wherever
from charrnn_text.rows import LONGEST_LINE, Rows, lines_of, rows_corpus, shown_name, unknown_name

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_MOST_NAMES = 1000


def csv(argument: str | None, options: CSVOptions, context: SourceContext) -> Corpus:
    """Read a column of tables of comma-separated values, whose first row names the columns.

    Arguments:
        argument: ``FILE#COLUMN``; the file may be a pattern or a directory.
        options: the delimiter, and whether each row is a document.
        context: may name a text that was read before.

    Raises:
        SourceError: there is no such file, or a row is malformed; the message has its line.
        UnknownNameError: there is no such column; lists the columns.
        CorpusError: a file is not UTF-8, or no row has any text.
    """
    names = partial(_header, options=options)

    def at(place: str | None) -> Corpus:
        paths, column = _chosen("csv", "COLUMN", place, names)
        return _corpus("csv", place, options, partial(_columns, paths, column, options), context)

    return wherever("csv", argument, context, at) if argument else at(argument)


def jsonl(argument: str | None, options: RowOptions, context: SourceContext) -> Corpus:
    """Read a field of the objects in files of JSON Lines.

    Arguments:
        argument: ``FILE#FIELD``; the file may be a pattern or a directory.
        options: whether each object is a document.
        context: may name a text that was read before.

    Raises:
        SourceError: there is no such file, or a line is not a JSON object; the message has its
            number.
        UnknownNameError: no object has that field; lists the fields.
        CorpusError: a file is not UTF-8, or no object has any text.
    """

    def at(place: str | None) -> Corpus:
        paths, field = _chosen("jsonl", "FIELD", place, _fields)
        return _corpus("jsonl", place, options, partial(_values, paths, field), context)

    return wherever("jsonl", argument, context, at) if argument else at(argument)


def _corpus(
    source: str,
    argument: str | None,
    options: RowOptions,
    read: Callable[[], Rows],
    context: SourceContext,
) -> Corpus:
    origin = absolute(argument or "")
    corpus = rows_corpus(f"{source}:{argument}", origin, read, context.note)
    return corpus if options.documents else dataclasses.replace(corpus, documents=None)


def _chosen(
    source: str, what: str, argument: str | None, names: Callable[[Path], list[str]]
) -> tuple[list[Path], str]:
    """Return the files and the column or field that an argument names."""
    path, _, name = (argument or "").rpartition("#")
    if path and name:
        return find_files(path), name
    expected = f"expected {source}:FILE#{what}"
    if not argument:
        got = source if argument is None else f"{source}:"
        raise SourceError(f"{got!r} does not name a table; {expected}")
    found = find_files(argument.removesuffix("#"))[0]
    try:
        available = ", ".join(map(shown_name, names(found)[:20]))
    except CharRNNError as error:
        available = str(error)
    got = f"{source}:{argument}"
    raise SourceError(
        f"{got!r} does not name a {what.lower()}; {expected}; {found} has: {available}"
    )


def _columns(paths: list[Path], column: str, options: CSVOptions) -> Rows:
    """Yield the text of a column, row by row."""
    for path in paths:
        records = _records(path, options)
        _, header = next(records, (0, []))
        if header.count(column) != 1:
            if column in header:
                raise SourceError(f"{path} has {header.count(column)} columns named {column!r}")
            raise unknown_name("column", path, column, header)
        place = header.index(column)
        for number, record in records:
            if record and len(record) <= place:
                raise SourceError(
                    f"{path}: the row at line {number} has {len(record)} columns, but "
                    f"{column!r} is column {place + 1} of {len(header)}; check the delimiter "
                    "(--source-opt delimiter=semicolon) and the quotes"
                )
            if record:
                yield record[place]


def _records(path: Path, options: CSVOptions) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table, each with the number of its last line."""
    name = options.delimiter
    if name == "auto":
        name = "tab" if ".tsv" in path.suffixes else "comma"
    # The limit applies to the whole process; by default it is shorter than a book.
    reading.field_size_limit(max(reading.field_size_limit(), LONGEST_LINE))
    reader = reading.reader(lines_of(path), delimiter=_DELIMITERS[name], strict=True)
    try:
        for record in reader:
            yield reader.line_num, record
    except reading.Error as error:
        raise SourceError(
            f"{path}: line {reader.line_num} does not end a row: {error}; check for a missing "
            "quote, or one inside a field that is not doubled"
        ) from error


def _header(path: Path, options: CSVOptions) -> list[str]:
    return next(_records(path, options), (0, []))[1]


def _values(paths: list[Path], field: str) -> Rows:
    """Yield the text of a field, object by object."""
    for path in paths:
        known: dict[str, None] = {}
        missing = True
        for number, record in _objects(path):
            missing = missing and field not in record
            if missing and len(known) < _MOST_NAMES:
                known |= dict.fromkeys(record)
            value = record.get(field)
            if not isinstance(value, str | None):
                raise SourceError(
                    f"{path}: {field!r} of line {number} is {type(value).__name__}; expected a text"
                )
            yield value
        if missing and known:
            raise unknown_name("field", path, field, list(known))


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects in a file of JSON Lines, each with the number of its line."""
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or (
                "it is nested too deep" if isinstance(error, RecursionError) else str(error)
            )
            raise SourceError(
                f"{path}: line {number} is not JSON ({reason}); expected an object on each line"
            ) from error
        if not isinstance(record, dict):
            raise SourceError(
                f"{path}: line {number} is not a JSON object; expected one on each line, such as "
                '{"text": "..."}'
            )
        yield number, record


def _fields(path: Path) -> list[str]:
    return list(next(_objects(path), (0, {}))[1])
