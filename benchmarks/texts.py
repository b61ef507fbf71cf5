"""Texts of many kinds and sizes, built from what is at hand, for benchmarks of quality.

Nothing of them is kept in the repository: they are read from Python's own files, from ``shared/``
beside the checkout, and from Debian's packages (fetched with apt-get where they are missing).
"""

import argparse
import collections
import hashlib
import html
import os
import re
import subprocess
import sysconfig
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import source_ref
from charrnn_core.text.load import read_corpus

SHARED = Path(__file__).parents[2] / "shared"
MOST_CHARACTERS = 10_000_000
VOCABULARY = 10_000
"""The words that the Penn Treebank of language models knows; the others are ``<unk>``."""

Made = tuple[str, str]
"""A text, and where it is from."""


def python_docs() -> Made:
    """Return the text that `run` reads by default."""
    return _through_source("python-docs"), "pydoc_data.topics of this Python"


def book_520() -> Made:
    """Return book 520 of Project Gutenberg without its boilerplate, from ``shared/``."""
    os.environ.setdefault("CHARRNN_GUTENBERG_MIRROR", str(SHARED / "gutenberg"))
    return _through_source("gutenberg:520"), "Project Gutenberg, book 520"


def tiny_shakespeare() -> Made:
    """Return the megabyte of Shakespeare's plays that char-rnn made known."""
    text = (SHARED / "corpora" / "tinyshakespeare.txt").read_text(encoding="utf-8")
    return text, "karpathy/char-rnn, tiny-shakespeare"


def austen() -> Made:
    """Return Jane Austen's six novels."""
    packed = next(_unpacked("r-cran-janeaustenr").rglob("Rdata.rdb")).read_bytes()
    novels = ["\n".join(_strings_of_r(value)) for value in _values_of_r(packed)]
    return "\n\n\n".join(novels), "Jane Austen's six novels, Debian's r-cran-janeaustenr"


def treebank() -> Made:
    """Return English prose written as the Penn Treebank of language models is.

    Every sentence is a line of lower-case words with spaces between them; numbers are ``N``, words
    beyond the most frequent ones ``<unk>``, and punctuation is left out.
    """
    prose = [*_paragraphs(_handbook("en-US")), *_paragraphs(_unpacked("git-doc"))]
    sentences = [
        words
        for paragraph in prose
        for sentence in re.split(r"(?<=[.!?:])\s", paragraph)
        if len(words := _words(sentence)) > 2
    ]
    counts = collections.Counter(word for words in sentences for word in words)
    known = {word for word, count in counts.most_common(VOCABULARY) if count > 1}
    lines = (" ".join(w if w in known else "<unk>" for w in words) for words in sentences)
    return "\n".join(lines), "Debian's debian-handbook (English) and git-doc, tokenised"


def source_code() -> Made:
    """Return the standard library's modules, tests left out."""
    library = Path(sysconfig.get_paths()["stdlib"])
    paths = (path.relative_to(library) for path in sorted(library.rglob("*.py")))
    left_out = {"test", "tests", "site-packages", "idle_test", "pydoc_data", "encodings"}
    kept = [path for path in paths if not left_out & set(path.parts)]
    text = "\n".join((library / path).read_text("utf-8", errors="ignore") for path in kept)
    return text, f"the standard library of Python, {len(kept)} modules"


def german() -> Made:
    """Return a book in German."""
    return _translated("de-DE"), "Debian's debian-handbook (German)"


def chinese() -> Made:
    """Return a book in Chinese."""
    return _translated("zh-CN"), "Debian's debian-handbook (Chinese)"


TEXTS = {
    "python-docs": python_docs,
    "book-520": book_520,
    "tiny-shakespeare": tiny_shakespeare,
    "austen": austen,
    "treebank": treebank,
    "stdlib": source_code,
    "german": german,
    "chinese": chinese,
}


def _through_source(spec: str) -> str:
    corpus = read_corpus(source_ref(spec), Registry.installed(), lambda line: None)
    assert corpus.text is not None, f"{spec} is too long to be kept as text"
    return corpus.text


def _unpacked(package: str) -> Path:
    """Return a folder with the files of one of Debian's packages, fetched unless it is there."""
    folder = Path(tempfile.gettempdir()) / "charrnn-texts" / package
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as fetched:
            subprocess.run(["apt-get", "-qq", "download", package], cwd=fetched, check=True)
            archive = next(Path(fetched).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    return folder


def _handbook(language: str) -> Path:
    return _unpacked("debian-handbook") / "usr/share/doc/debian-handbook/html" / language


def _translated(language: str) -> str:
    """Return the handbook in a language, without what was left in English."""
    english = set(_paragraphs(_handbook("en-US")))
    return "\n".join(line for line in _paragraphs(_handbook(language)) if line not in english)


def _paragraphs(folder: Path) -> Iterator[str]:
    """Yield every distinct paragraph of a folder's pages, without markup, on one line."""
    seen = set()
    for path in sorted(path for path in folder.rglob("*.html") if path.is_file()):
        page = path.read_text("utf-8", errors="replace")
        for found in re.finditer(r'<(p|div class="para")>(.*?)</(?:p|div)>', page, re.DOTALL):
            line = " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[2])).split())
            if line and line not in seen:
                seen.add(line)
                yield line


def _words(sentence: str) -> list[str]:
    """Return a sentence's words, its numbers as N.

    >>> _words("It's 1,024 bytes, isn't it?")
    ['it', "'s", 'N', 'bytes', 'is', "n't", 'it']
    """
    found = re.findall(r"\d[\d.,]*|[a-z]+(?=n't)|n't|'[a-z]+|[a-z]+(?:-[a-z]+)*", sentence.lower())
    return ["N" if word[0].isdigit() else word for word in found]


def _values_of_r(packed: bytes) -> Iterator[bytes]:
    """Yield the values of R's database of data: each after its length, compressed."""
    while packed:
        stream = zlib.decompressobj()
        yield stream.decompress(packed[4:])
        packed = stream.unused_data


def _strings_of_r(value: bytes) -> Iterator[str]:
    """Yield the strings of a character vector, as R serializes it: flags, length, bytes."""
    start = value.index(b"\0\0\0\x10") + 8
    while start < len(value):
        length = int.from_bytes(value[start + 4 : start + 8], "big")
        yield value[start + 8 : start + 8 + length].decode()
        start += 8 + length


def written(names: Iterable[str], folder: Path) -> Iterator[str]:
    """Write texts into a folder; yield a table's row for each."""
    yield "| text | characters | bytes | alphabet | sha256 | from |\n|---|---|---|---|---|---|"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        text, origin = TEXTS[name]()
        text = text[:MOST_CHARACTERS]
        data = text.encode()
        (folder / f"{name}.txt").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()[:12]
        yield (
            f"| {name} | {len(text):,} | {len(data):,} | {len(set(text)):,} | {digest} | {origin} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write into")
    parser.add_argument("names", nargs="*", default=list(TEXTS), help="texts (default: all)")
    arguments = parser.parse_args()
    for row in written(arguments.names, arguments.out):
        print(row, flush=True)
