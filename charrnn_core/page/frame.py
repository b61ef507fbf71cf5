"""The frame of a page: one HTML file that works offline."""

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
{refresh}<title>{title}</title>
<style>
{style}</style>
<body>
{body}
{scripts}</body>
</html>
"""


def page(
    title: str,
    body: str,
    *,
    style: str = "",
    script: str = "",
    data: Any = None,
    refresh: int | None = None,
    reaches_its_server: bool = False,
) -> str:
    """Return an HTML file that needs nothing else, and that can reach nothing else.

    Arguments:
        title: plain text.
        body: HTML. What comes from a run or a text must have been through `escaped`.
        style: CSS, after that of all pages; see ``base.css`` for its colours.
        script: JavaScript, run once the body is there. Nothing in it may come from a run: that is
            what `data` is for.
        data: plain data, which the script has as ``DATA``; left out if None.
        refresh: after how many seconds the browser reads the file again; None for never.
        reaches_its_server: whether the script may ask the server that the page came from.

    >>> '<h1>A run</h1>' in page("A run", "<h1>A run</h1>")
    True
    """
    parts, code = [], ""
    if data is not None:
        parts.append(f'<script type="application/json" id="data">{_inert(data)}</script>\n')
        code = 'const DATA = JSON.parse(document.getElementById("data").textContent);\n'
    if code or script:
        code = f"{code}{script}"
        parts.append(f"<script>{code}</script>\n")
    return _HTML.format(
        policy=_policy(code, reaches_its_server),
        refresh="" if refresh is None else f'<meta http-equiv="refresh" content="{refresh}">\n',
        title=escaped(title),
        style=base_style() + style,
        body=body,
        scripts="".join(parts),
    )


def escaped(text: str) -> str:
    """Return text as HTML that shows it, in an element or a quoted attribute.

    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(text)


def base_style() -> str:
    """Return the CSS that all pages share."""
    return (files(__package__ or "") / "base.css").read_text(encoding="utf-8")


def _inert(data: Any) -> str:
    """Return data as JSON in which no HTML can end or begin."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _policy(code: str, reaches_its_server: bool) -> str:
    """Return a Content-Security-Policy under which this code runs, and nothing else is fetched."""
    script = "'none'"
    if code:
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        script = f"'sha256-{digest}' blob:"
    reached = "connect-src 'self'; " if reaches_its_server else ""
    return (
        f"default-src 'none'; {reached}script-src {script}; worker-src blob:; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
