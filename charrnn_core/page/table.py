"""A table in HTML."""

from collections.abc import Iterable, Sequence

from charrnn_core.page.frame import escaped


class Markup(str):
    """HTML, which is not escaped again."""


def html_table(
    rows: Iterable[Sequence[str]],
    head: Sequence[str] = (),
    *,
    numbers: bool = False,
    caption: str = "",
) -> str:
    """Return a table in HTML; the first cell of a row is its name.

    Arguments:
        rows: cells of plain text, or `Markup`.
        head: the names of the columns, of which some may be empty; empty for none.
        numbers: whether all columns but the first hold numbers, which end at the right.
        caption: what the table shows.

    >>> html_table([("model", "1.5")], numbers=True)
    '<table><tr><th scope="row">model</th><td class="number">1.5</td></tr></table>'
    """
    kind = ' class="number"' if numbers else ""
    lines = []
    if head:
        names = (
            f'<th scope="col"{kind if i else ""}>{html(x)}</th>' if x else "<td></td>"
            for i, x in enumerate(head)
        )
        lines.append(f"<tr>{''.join(names)}</tr>")
    for name, *cells in rows:
        data = "".join(f"<td{kind}>{html(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{html(name)}</th>{data}</tr>')
    title = f"<caption>{html(caption)}</caption>" if caption else ""
    return f"<table>{title}{''.join(lines)}</table>"


def html(text: str) -> str:
    """Return text as HTML, unless it is HTML.

    >>> html("a < b"), html(Markup("<b>a</b>"))
    ('a &lt; b', '<b>a</b>')
    """
    return text if isinstance(text, Markup) else escaped(text)
