"""Inputs made to exhaust: deep, huge, or slow for a parser that goes back and forth."""

import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgpack

DEEP = 100_000
LONG = 1_000_000


def nasty(target: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every such input of a target."""
    makers = {
        "archive": _archives, "checkpoint": _headers, "spec": _specs, "stripper": _books,
        "config": _toml,
    }  # fmt: skip
    yield from makers[target]()


def header(table: Any, arrays: Any, data: bytes = b"") -> bytes:
    """What the target ``checkpoint`` takes for a header followed by `data`, under 256 bytes."""
    packed = msgpack.packb({"table": table, "arrays": arrays})
    assert isinstance(packed, bytes)
    return bytes([len(data)]) + packed + data


def array(**changes: Any) -> dict[str, Any]:
    """The entry of an array of one byte, with changes."""
    return {"path": "a", "dtype": "int8", "shape": [1], "offset": 0, "nbytes": 1, **changes}


def _archives() -> Iterator[tuple[str, bytes]]:
    header = b"\x03\x03\x02" + bytes(8) + b"\0\x02\x03\0"
    for name, planes in {
        "many characters": bytes(LONG // 2),
        "places beyond": b"\1\xff\1a" + b"\0\xff\0\0" * 3,
        "lengths beyond": b"\1\0\xff" + b"\0\0\xff" * 3,
        "no character": b"\1\0\1\0" + b"\0\0\0\xff" * 3,
    }.items():
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        rest = lzma.compress(planes, lzma.FORMAT_RAW, filters=filters)
        yield name, bytes([len(header), len(rest)]) + header + rest
    yield "a header that inflates", bytes([99, 0]) + zlib.compress(bytes(1 << 20), 9)[2:]
    yield "a huge number", bytes([200, 0]) + b"\xff" * LONG
    yield "a size beyond", b"CRZ\1\3\3\2" + bytes(8) + b"\xff" * 8 + b"\1"


def _headers() -> Iterator[tuple[str, bytes]]:
    start = b"\0\x82\xa5table\x80\xa6arrays"
    yield "nested arrays", start + b"\x91" * DEEP
    yield "nested maps", start + b"\x81\xa1a" * DEEP
    for many in (LONG // 2, LONG):
        yield f"{many} empty maps", start + b"\xdd" + struct.pack(">I", many) + b"\x80" * many
    for name, code in {"array": 0xDD, "map": 0xDF, "str": 0xDB, "bin": 0xC6, "ext": 0xC9}.items():
        yield f"a huge {name}", start + bytes([code]) + b"\xff" * 4
        yield f"huge {name}s inside each other", start + (bytes([code]) + b"\xff" * 4) * 1000
    yield "a file that ends early", b"CRNN\1\0\xff\xff\xff\0"
    for name, change in {
        "a huge shape": {"shape": [2**62, 2**62]},
        "a huge empty shape": {"shape": [0, 2**63], "nbytes": 0},
        "a shape of a million": {"shape": [1] * LONG},
        "a negative shape": {"shape": [-1, -1]},
        "a shape of truths": {"shape": [True]},
        "a shape that is a text": {"shape": "\1"},
        "a shape that is bytes": {"shape": b"\1"},
        "a shape that is a map": {"shape": {"1": 1}},
        "an object": {"dtype": "object"},
        "a dtype that is a list": {"dtype": ["int8"]},
        "a path that is a list": {"path": ["a"]},
        "a path with an escape": {"path": "\x1b[2J\n", "dtype": "object"},
        "an offset that is no number": {"offset": float("nan")},
        "an offset beyond": {"offset": 2**63},
        "a size that is no number": {"nbytes": float("nan")},
    }.items():
        yield name, header({}, [array(**change)], b"\1")
    yield "one path twice", header({}, [array(), array(offset=1)], b"\1\1")
    yield "overlapping arrays", header({}, [array(), array(path="b")], b"\1\1")
    yield "bytes of no array", header({}, [array()], b"\1\1")
    yield "a table that is none", header([], [])
    yield "arrays that are a map", header({}, {"a": array()})
    yield "a time", header({"at": msgpack.Timestamp(2**33, 999_999_999)}, [])
    yield "a time that is none", start + b"\xc7\x0c\xff" + b"\xff" * 12


def _specs() -> Iterator[tuple[str, bytes]]:
    for prefix in (b"", b"elman:", b"gutenberg:", b"file:", b"batch=", b"epochs=", b"sampler="):
        for unit in (b"9", b"a", b"*", b"**/", b"*/", b"a,", b"a*1", b"[", b"[a", b"../", b"?",
                     b":", b"~", b"\0", b"\n", b"\xff", b"\xed\xa0\x80", b"\xd9\xa5"):  # fmt: skip
            for length in (1, 9, 400, 750, 4000, *([LONG] if prefix in (b"", b"batch=") else [])):
                units = length // len(unit) or 1
                yield f"{prefix!r} and {units} of {unit!r}", prefix + unit * units
    yield "many repeats", b"elman*" + b"9" * 5000
    yield "no repeat", b"elman*" + b"0" * 5000
    yield "an escape in a repeat", b"\x1b[2J\n*0"
    yield "a huge number", b"batch=" + b"9" * 4000
    yield "an unknown user", b"~nobody-of-that-name/x"
    for path in (b"../../etc/passwd", b"/etc/passwd", b"520/../../x", b"%2e%2e%2f", b"CON", b"5\n",
                 b"-1", b"0", b"1e3", b"00520", b" 520", b"520\0", "５２０".encode()):  # fmt: skip
        yield f"the book {path!r}", b"gutenberg:" + path


def _books() -> Iterator[tuple[str, bytes]]:
    start = b"*** START OF THE PROJECT GUTENBERG EBOOK"
    units = (
        b"*", b"\n", b"\r", b" ", b"\t", b"\x0b", b" \n", b"* ", b"***\n", start, start + b"\n",
        start + b"\n ", start + b"\n" + b" " * 80 + b"x\n", start + b"\nx" * 250 + b"\n",
        b"*** END OF THE PROJECT GUTENBERG\n", b"Produced by\n\n", b"the end of\n", b"these ",
        b"these" + b" " * 9 + b"a" * 50 + b"\n", b" " * 89 + b"\n", b" " * 80 + b"*" * 9 + b"\n",
        b"\n" * 9 + b"*start" + b"\n" * 9 + b"of" + b"\n" * 9 + b"the" + b"\n" * 9 + b"project",
        b"\xff", b"xn--a.", b"\\N{", b"+A",
    )  # fmt: skip
    for unit in units:
        yield f"many of {unit[:50]!r}", b"x\n" + unit * (LONG // len(unit)) + b"\nx"
    for name in (b"idna", b"punycode", b"unicode_escape", b"raw_unicode_escape", b"utf-7",
                 b"utf-16", b"utf-32", b"undefined", b"zip", b"rot13", b"hz", b"iso2022_jp",
                 b"mbcs", b"charmap", b"aliases", b"cp037", b"utf-8-sig", b"!" * 40):  # fmt: skip
        declared = b"Character set encoding: " + name + b"\n"
        for body in (b"xn--" + b"a" * LONG + b"\xe9", b"\\ud800\\9\xe9" * 9, b"\xe9\n" * 99):
            yield f"{body[:9]!r} said to be {name.decode()}", declared + body


def _toml() -> Iterator[tuple[str, bytes]]:
    many = range(50_000)
    yield "nested lists", b"x=" + b"[" * DEEP
    yield "nested tables", b"x=" + b"{a=" * DEEP
    for depth in (60, 200, 300, 400, 450):
        yield f"an option {depth} deep", b"[cell]\nuse='elman'\nx=" + b"[" * depth + b"]" * depth
        yield f"lists {depth} deep", b"batch=" + b"[" * depth + b"]" * depth
        yield f"tables {depth} deep", b"cell=" + b"{use=" * depth + b"1" + b"}" * depth
        yield f"a key {depth} deep", b"cell." + b"a." * depth + b"a=1"
    for key in (b"a", b'"a"', b"'a'", b'""'):
        yield f"a long dotted key of {key!r}", b" . ".join([key] * 30_000) + b"=1"
        yield f"a long table name of {key!r}", b"[" + b".".join([key] * 30_000) + b"]"
        yield f"a long dotted key of {key!r} within", b"x={" + b".".join([key] * 30_000) + b"=1}"
    yield "a long word", b"a" * LONG
    yield "quotes", b'"' * LONG
    yield "dots", b'prompt="' + b"." * LONG + b'"'
    for name in (b"batch", b"epochs", b"cell", b"prompt", b"sampler", b"unroll", b"nothing",
                 b"recipe", b"source", b"seed"):  # fmt: skip
        for number in (b"9" * 5000, b"9" * 4000, b"0x" + b"f" * 5000, b"0x" + b"f" * 400, b"1e999",
                       b"-inf", b"nan", b"1979-05-27", b"true", b"[]", b"{}", b"''"):  # fmt: skip
            yield f"{name.decode()} = {number[:9].decode()}", name + b"=" + number
            yield f"{name.decode()} = [{number[:9].decode()}]", name + b"=[" + number + b"]"
            yield f"{name.decode()}.use = {number[:9].decode()}", name + b".use=" + number
    yield "many keys", b"\n".join(b"k%d=1" % n for n in many)
    yield "many tables", b"\n".join(b"[k%d]" % n for n in many)
    yield "many dotted keys", b"\n".join(b"a.b.c%d=1" % n for n in many)
    yield "many tables of one list", b"[[a]]\n" * 100_000
    yield "many comments", b"#\n" * 500_000
    yield "a long file", b"#" * (16 * LONG)
    yield "an open text", b'prompt="' + b"a" * LONG
    yield "no text", b"\xff\xfe\0"
    yield "a mark", b"\xef\xbb\xbfbatch=1"
    yield "an escape in a key", b'"\\u001b[2J\\n"=1'
    yield "a lone carriage return", b"batch=1\rseed=2"
