"""A table on the screen, fitted to the width of the terminal."""

from collections.abc import Container, Sequence

_NAME = 15
"""The width of the first column if names do not fit; longer names get a line of their own."""


def fitted(
    rows: Sequence[tuple[str, ...]],
    width: int | None,
    dispensable: Sequence[str] = (),
    words: Container[str] = (),
) -> tuple[list[str], list[str]]:
    """Return the lines of a table, its head first, and the heads of the columns dropped.

    Columns without a cell are left out.

    Arguments:
        rows: of cells that may be printed; the first is the head, of unique names.
        width: of the terminal; None fits everything.
        dispensable: the heads of columns to drop if the table does not fit, in this order.
        words: the heads of columns that begin at the left; the others are numbers.

    >>> table = [("cell", "bits/char", "MiB"), ("stacked:gru:8*2", "2.5", "101")]
    >>> fitted(table, None)
    (['cell             bits/char  MiB', 'stacked:gru:8*2        2.5  101'], [])
    >>> fitted(table, 27, dispensable=["MiB"])
    (['cell             bits/char', 'stacked:gru:8*2        2.5'], ['MiB'])
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    kept = [column for column in range(1, len(widths)) if any(row[column] for row in rows[1:])]

    def fits(name: int) -> bool:
        return width is None or name + sum(2 + widths[column] for column in kept) <= width

    def cell(row: tuple[str, ...], column: int) -> str:
        align = "<" if rows[0][column] in words else ">"
        return f"  {row[column]:{align}{widths[column]}}"

    name = widths[0] if fits(widths[0]) else min(_NAME, widths[0])
    lacking = []
    for head in dispensable:
        if fits(name):
            break
        for column in [column for column in kept if rows[0][column] == head]:
            kept.remove(column)
            lacking.append(head)
    lines = []
    for row in rows:
        if len(row[0]) > name:
            lines.append(row[0])
        beside = row[0] if len(row[0]) <= name else ""
        lines.append(f"{beside:{name}}{''.join(cell(row, c) for c in kept)}".rstrip())
    return lines, lacking
