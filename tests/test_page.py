"""The frame of a page: data cannot become code, and the policy lets nothing else in."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.page.frame import escaped, page


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.tags: list[str] = []
        self.metas: list[dict[str, str | None]] = []
        self.shown = ""
        self._attributes: dict[str, str | None] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag == "meta":
            self.metas.append(dict(attrs))
        self._attributes = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._attributes = None

    def handle_data(self, data: str) -> None:
        if self._attributes is not None:
            self.scripts.append((self._attributes, data))
        else:
            self.shown += data


json_like = st.recursive(
    st.text() | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_like.filter(lambda data: data is not None))
def test_data_comes_back_and_is_never_code(data: Any):
    _check({"text": ["</script><script>alert(1)</script><!-- <script>", data]})


def _check(data: Any) -> None:
    read = Reader(page("t", "<p>b</p>", script="use(DATA)", data=data))
    (attributes, held), (_, code) = read.scripts
    assert attributes["type"] == "application/json" and json.loads(held) == data
    assert code.endswith("use(DATA)") and len(read.scripts) == 2


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00")))
def test_what_is_escaped_is_shown_as_it_is(text: str):
    plain = Reader(page("t", "<p></p>"))
    read = Reader(page("t", f'<p title="{escaped(text)}">{escaped(text)}</p>'))
    assert read.tags == plain.tags and text in read.shown


def test_the_policy_names_the_script_and_nothing_else_may_run():
    read = Reader(page("t", "", script="one()"))
    policy = next(meta["content"] for meta in read.metas if "http-equiv" in meta) or ""
    digest = base64.b64encode(hashlib.sha256(read.scripts[0][1].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0]


def test_a_page_without_a_script_allows_none():
    text = page("t", "<p>only words</p>")
    assert "script-src 'none'" in text and "<script" not in text


def test_a_page_asks_for_nothing():
    assert not re.search(r"https?://|src=|@import|url\(", page("t", "", script="x", data=1))
