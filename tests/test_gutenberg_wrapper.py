"""Cutting Project Gutenberg's wrapper and decoding its files. All texts here are made up."""

import time

import pytest
from charrnn_gutenberg.encoding import decode_book
from charrnn_gutenberg.wrapper import strip_wrapper, trim_blank_lines
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError

BODY = "\n".join(f"Line {n} of a tale nobody has told, about a fox and a loop." for n in range(40))

STARTS = [
    "*** START OF THE PROJECT GUTENBERG EBOOK A TALE ***",
    "*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***",
    "***START OF THE PROJECT GUTENBERG EBOOK A TALE***",
    "*** Start of the Project  Gutenberg Etext: A Tale ***",
    "*** START OF THE PROJECT GUTENBERG EBOOK A TALE WHOSE TITLE\nRUNS OVER TWO LINES ***",
    "*** START OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK A TALE ***",
    "*** START OF THE PROJECT GUTENBERG EBOOK A TALE",
    "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
    "*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
    "*****These eBooks Were Prepared By Thousands of Volunteers!*****",
]
ENDS = [
    "*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***",
    "***END OF THIS PROJECT GUTENBERG EBOOK A TALE***",
    "*** END OF THE PROJECT GUTENBERG EBOOK A TALE WHOSE TITLE\nRUNS OVER TWO LINES ***",
    "End of the Project Gutenberg EBook of A Tale, by \nNobody\n\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***",
    "End of Project Gutenberg's A Tale, by Nobody",
    "End of this Project Gutenberg Etext of A Tale",
    "The End of the Project Gutenberg Edition of A Tale",
    "The End of Project Gutenberg Etext A Tale",
    "END OF PROJECT GUTENBERG",
    "Ende dieses Projekt Gutenberg Etextes: A Tale",
    "*** END OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK A TALE ***",
]
CREDITS = [
    "",
    "Produced by Nobody and the Team\nat a place",
    "E-text prepared by Nobody",
    "This eBook was produced by Nobody",
    "E-text prepared by Nobody\n\nProduced by Somebody",
]


def wrap(body: str, start: str, end: str, credits: str = "") -> str:
    header = "The Project Gutenberg EBook of A Tale\n\nTitle: A Tale\nLanguage: English\n\n"
    licence = "\n\nThis file is free.\nProject Gutenberg licence, section 1.\n"
    return f"{header}{start}\n\n{credits}\n\n\n{body}\n\n\n{end}{licence}"


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("end", ENDS)
def test_every_wrapper_comes_off(start, end):
    stripped = strip_wrapper(wrap(BODY, start, end))
    assert (stripped.text, stripped.start, stripped.end) == (BODY, True, True)


@pytest.mark.parametrize("credits", CREDITS)
def test_credits_below_the_header_come_off(credits):
    assert strip_wrapper(wrap(BODY, STARTS[0], ENDS[0], credits)).text == BODY


def test_credits_elsewhere_stay():
    body = BODY + "\n\nProduced by hand, it said.\n\n" + BODY
    assert strip_wrapper(wrap(body, STARTS[0], ENDS[0])).text == body
    assert strip_wrapper(f"Produced by Nobody\n\n{BODY}").text == f"Produced by Nobody\n\n{BODY}"


words = st.text(st.sampled_from("ab cé—\t.*\U0001f98a"), max_size=30)
bodies = (
    st.lists(words, min_size=1, max_size=30)
    .map(lambda lines: trim_blank_lines("\n".join(lines)))
    .filter(str.strip)
    .map(lambda body: BODY + "\n" + body + "\n\n" + BODY)
)


@given(bodies, st.sampled_from(STARTS), st.sampled_from(ENDS), st.sampled_from(CREDITS))
def test_the_body_survives_any_wrapper(body, start, end, credits):
    stripped = strip_wrapper(wrap(body, start, end, credits))
    assert stripped.text == body
    assert strip_wrapper(stripped.text).text == body


@given(bodies, st.sampled_from(STARTS), st.sampled_from(ENDS), st.booleans())
def test_line_ends_and_byte_order_marks_do_not_matter(body, start, end, mark):
    text = wrap(body, start, end)
    for newline in ("\n", "\r\n", "\r"):
        data = text.replace("\n", newline).encode("utf-8-sig" if mark else "utf-8")
        assert strip_wrapper(decode_book(data, "a test")).text == body


lines = st.one_of(st.sampled_from([*STARTS, *ENDS, *CREDITS]), words)


@given(st.lists(lines, max_size=60).map("\n".join))
def test_stripping_twice_is_stripping_once(text):
    try:
        once = strip_wrapper(text)
    except CorpusError:
        assume(False)
        return
    assert len(once.text) >= len(text) / 2
    again = strip_wrapper(once.text)
    assert again.text == once.text and not (again.start or again.end)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (f"Title\n\n{STARTS[0]}\n{BODY}", True, False),
        (f"{BODY}\n\n{ENDS[0]}\nlicence", False, True),
    ],
)
def test_one_marker_cuts_its_side(text, start, end):
    stripped = strip_wrapper(text)
    assert (stripped.text, stripped.start, stripped.end) == (BODY, start, end)


def test_a_header_without_closing_stars_ends_with_its_line():
    body = f"First.\n\n***\n\n{BODY}"
    assert strip_wrapper(wrap(body, STARTS[6], ENDS[0])).text == body


def test_without_markers_nothing_changes():
    text = f"\n\n{BODY}\n\nIt is not the *** END OF THE PROJECT GUTENBERG EBOOK, said the fox.\n\n"
    stripped = strip_wrapper(text)
    assert (stripped.text, stripped.start, stripped.end) == (text, False, False)


def test_markers_count_only_where_they_belong():
    body = f"{BODY}\n{BODY}\n{ENDS[0]}\n{BODY}\n{BODY}\n{BODY}"  # a footer in the middle
    assert strip_wrapper(wrap(body, STARTS[0], ENDS[0])).text == body
    many = "\n".join([BODY] * 40)  # 1600 lines, then a header in the second quarter
    body = f"{many}\n{STARTS[0]}\n{many}\n{many}"
    assert strip_wrapper(wrap(body, STARTS[0], ENDS[0])).text == body


def test_the_last_header_and_the_first_footer_count():
    text = wrap(wrap(BODY, STARTS[7], ENDS[4]), STARTS[0], ENDS[0])
    assert strip_wrapper(text).text == BODY


def test_a_small_print_after_the_footer_is_no_header():
    assert strip_wrapper(wrap(BODY, STARTS[0], f"{ENDS[0]}\n\n{STARTS[7]}")).text == BODY


def test_losing_more_than_half_is_an_error():
    text = "\n".join(["header"] * 600) + f"\n{STARTS[0]}\n" + "\n".join(["body"] * 400)
    with pytest.raises(CorpusError, match="strip=false") as caught:
        strip_wrapper(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("unit", [" ", "*", "\n", " \n", "*** START OF THE PROJECT GUTENBERG\n"])
def test_no_text_makes_it_slow(unit):
    text = "x\n" + unit * (2_000_000 // len(unit)) + "\nx"
    started = time.monotonic()
    try:
        strip_wrapper(text)
    except CorpusError:
        pass
    trim_blank_lines(text)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [("", ""), ("a", "a"), ("\n\n  a\n", "  a"), ("a \n\t\nb\n \n", "a \n\t\nb"), ("\n \n", "")],
)
def test_trimming_blank_lines(text, trimmed):
    assert trim_blank_lines(text) == trimmed


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é—\r\n".encode(), "é—\n"),
        (b"\xef\xbb\xbf" + "é".encode(), "é"),
        (b"Character set encoding: ISO-8859-15\r\n\xa4", "Character set encoding: ISO-8859-15\n€"),
        (b"Character set encoding: ASCII\n\x97", "Character set encoding: ASCII\n—"),
        (b"Character set encoding: klingon\n\x97", "Character set encoding: klingon\n—"),
        (b"Character set encoding: rot13\n\x97", "Character set encoding: rot13\n—"),
        ("Character set encoding: ISO-8859-1\né".encode(), "Character set encoding: ISO-8859-1\né"),
        (b"caf\xe9 \x93fox\x94", "café “fox”"),
    ],
)
def test_encodings(data, text):
    assert decode_book(data, "a test") == text


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf\xff", b"fox \x81\xff"])
def test_bytes_in_no_encoding_are_an_error(data):
    with pytest.raises(CorpusError, match="a test is not text in"):
        decode_book(data, "a test")


@given(st.binary(max_size=300))
def test_any_bytes_give_text_or_one_clear_error(data):
    try:
        assert "\r" not in decode_book(data, "a test")
    except CorpusError as error:
        assert "\n" not in str(error)
