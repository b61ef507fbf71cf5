"""Cutting Project Gutenberg's wrapper and decoding its files. All texts here are made up."""

import contextlib
import signal

import pytest
from charrnn_gutenberg.encoding import decode_book
from charrnn_gutenberg.wrapper import LONGEST_WRAPPER, remnants, strip_wrapper, trim_blank_lines
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
    "*** START OF PROJECT GUTENBERG EBOOK A TALE ***",
    "Beginning of this Project Gutenberg Etext: A Tale",
    '["Small Print" V.12.08.93]',
]
STARRED_ENDS = [
    "*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***",
    "***END OF THIS PROJECT GUTENBERG EBOOK A TALE***",
    "*** END OF THE PROJECT GUTENBERG EBOOK A TALE WHOSE TITLE\nRUNS OVER TWO LINES ***",
    "End of the Project Gutenberg EBook of A Tale, by \nNobody\n\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***",
    "*** END OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK A TALE ***",
    "*** END OF THE PROJECT GUTENBERG EBOOK A TALE",
    " *** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***",
    "** End of Project Gutenberg Etext A Tale **",
    "Fin de ce livre de Project Gutenberg\n\n*** END OF THE PROJECT GUTENBERG EBOOK UN CONTE ***",
]
PLAIN_ENDS = [
    "End of Project Gutenberg's A Tale, by Nobody",
    "End of this Project Gutenberg Etext of A Tale",
    "The End of the Project Gutenberg Edition of A Tale",
    "The End of Project Gutenberg Etext A Tale",
    "END OF PROJECT GUTENBERG",
    "[End of the Project Gutenberg Etext of A Tale]",
    "*End of The Project Gutenberg Etext of A Tale*",
    "End of the Project Gutenberg EBook of A Tale of Some Length, by Nobody of\n"
    "Nowhere, who was never\nheard of again",
    "End of this is COPYRIGHTED Project Gutenberg Etext, A Tale",
    "**This is a COPYRIGHTED Project Gutenberg Etext, Details Above**",
    "Ende dieses Projekt Gutenberg Etextes: A Tale",
    "Ende dieses Project Gutenberg Etextes Eine Geschichte",
    "Ende diese Project Gutenberg EBook",
    "Ende dieses Etextes Eine Geschichte",
    "Fin de Project Gutenberg's Un conte, par Personne",
    "Fin de ce livre \u00e9lectronique du Projet Gutenberg",
    "Ce document fut pr\u00e9sent\u00e9 en lecture par personne",
    "Fin del Proyecto Gutenberg Etext de Un cuento",
    "Fine del Progetto Gutenberg Etext di Una storia",
    "Fim do Projecto Gutenberg de Um conto",
    "Einde van het Project Gutenberg Etext van Een verhaal",
    "Slut p\u00e5 Projekt Gutenbergs Etext En saga",
    "More information about this book is at the top of this file.",
]
ENDS = STARRED_ENDS + PLAIN_ENDS
CREDITS = [
    "",
    "Produced by Nobody and the Team\nat a place",
    "E-text prepared by Nobody",
    "This eBook was produced by Nobody",
    "E-text prepared by Nobody\n\nProduced by Somebody",
    "This Project Gutenberg Etext was prepared by Nobody",
    "Transcribed from the 1908 Nowhere edition by Nobody",
    "Scanned, proofread and converted by Nobody\n\nHTML version by Somebody",
    "(This file was produced from images that nobody has seen)",
    "Note: Images of the original pages are nowhere.",
]
LICENCE = "Anybody may copy this file under the terms of the Project Gutenberg licence.\n" * 250


def wrap(body: str, start: str, end: str, credits: str = "") -> str:
    header = "The Project Gutenberg EBook of A Tale\n\nTitle: A Tale\nLanguage: English\n\n"
    licence = "\n\nThis file is free.\nProject Gutenberg licence, section 1.\n"
    return f"{header}{start}\n\n{credits}\n\n\n{body}\n\n\n{end}{licence}"


def test_there_are_forty_forms():
    assert len(STARTS) + len(ENDS) >= 40


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("body", [BODY, "A fox.", "\n\n".join([BODY] * 100)], ids=len)
def test_every_header_comes_off(start, body):
    for end in (STARRED_ENDS[0], PLAIN_ENDS[0]):
        stripped = strip_wrapper(wrap(body, start, f"{end}\n\n{LICENCE}"))
        assert (stripped.text, stripped.start, stripped.end) == (body, True, True)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("body", [BODY, "A fox.", "\n\n".join([BODY] * 100)], ids=len)
def test_every_licence_comes_off_short_books_and_long_ones(end, body):
    for start in (STARTS[0], STARTS[7]):
        stripped = strip_wrapper(wrap(body, start, f"{end}\n\n{LICENCE}"))
        assert (stripped.text, stripped.start, stripped.end) == (body, True, True)
        assert remnants(stripped.text) == ""
    assert strip_wrapper(wrap(body, STARTS[0], end)).text == body


@pytest.mark.parametrize("end", ENDS)
def test_the_last_starred_footer_wins(end):
    for part in ("A fox.", BODY, "\n\n".join([BODY] * 40)):
        body = f"{BODY}\n\n{end}\n\n{part}"
        for start in STARTS:
            stripped = strip_wrapper(wrap(body, start, f"{STARRED_ENDS[0]}\n\n{LICENCE}"))
            assert stripped.text == body
        assert not remnants(body) or "line 42" in remnants(body)


@pytest.mark.parametrize("end", PLAIN_ENDS)
def test_a_plain_footer_counts_before_a_licence_alone(end):
    for after in (BODY, f"{BODY}\nIt was no licence.\n{BODY}", f"Gutenberg\n{BODY}"):
        text = wrap(f"{BODY}\n\n{end}\n\n{after}", STARTS[0], "")
        stripped = strip_wrapper(text)
        assert after in stripped.text and (stripped.start, stripped.end) == (True, False)


def test_what_is_left_is_told():
    text = f"{BODY}\n\n{PLAIN_ENDS[1]}\n\nTranscriber\u2019s Notes\n\nA fox\n\n"
    text += "the Project\nGutenberg\n\nProject Gutenberg\n\nProject Gutenberg"
    assert remnants(text) == (
        "line 42 'End of this Project Gutenberg Etext of A Tale', "
        "line 44 'Transcriber\u2019s Notes', line 48 'the Project Gutenberg', and 2 more"
    )


@pytest.mark.parametrize("credits", CREDITS)
def test_credits_below_the_header_come_off(credits):
    assert strip_wrapper(wrap(BODY, STARTS[0], ENDS[0], credits)).text == BODY


def test_credits_elsewhere_stay():
    body = BODY + "\n\nProduced by hand, it said.\n\n" + BODY
    assert strip_wrapper(wrap(body, STARTS[0], ENDS[0])).text == body
    assert strip_wrapper(f"Produced by Nobody\n\n{BODY}").text == f"Produced by Nobody\n\n{BODY}"


marks = st.sampled_from(ENDS)


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


@given(
    st.lists(st.tuples(bodies, marks), max_size=3), bodies, st.sampled_from(STARTS), st.booleans()
)
def test_nothing_before_the_last_starred_footer_is_lost(parts, last, start, licensed):
    """Whatever footers stand between the parts of a collection, starred or not."""
    body = "\n\n".join([*(f"{part}\n\n{end}" for part, end in parts), last])
    stripped = strip_wrapper(wrap(body, start, STARRED_ENDS[0] + "\n\n" + LICENCE * licensed))
    assert (stripped.text, stripped.start, stripped.end) == (body, True, True)


lines = st.one_of(st.sampled_from([*STARTS, *ENDS, *CREDITS]), words)


@given(st.lists(lines, max_size=60).map("\n".join))
def test_stripping_twice_is_stripping_once(text):
    try:
        once = strip_wrapper(text)
    except CorpusError:
        assume(False)
        return
    again = strip_wrapper(once.text)
    assert again.text == once.text and not (again.start or again.end)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (f"Title\n\n{STARTS[0]}\n{BODY}", True, False),
        (f"{BODY}\n\n{ENDS[0]}\nlicence", False, True),
        (f"{BODY}\n\n{ENDS[0]}\n\n{LICENCE}", False, True),
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


def test_losing_more_than_half_and_more_than_a_wrapper_is_an_error():
    header = "\n".join(["a header of Project Gutenberg, too long to be one " * 2] * 600)
    assert len(header) > LONGEST_WRAPPER
    text = f"{header}\n{STARTS[0]}\n" + "\n".join(["body"] * 400)
    with pytest.raises(CorpusError, match="strip=false") as caught:
        strip_wrapper(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("unit", [" ", "*", "\n", " \n", "*** START OF THE PROJECT GUTENBERG\n"])
def test_no_text_makes_it_slow(unit):
    text = "x\n" + unit * (2_000_000 // len(unit)) + "\nx"

    def give_up(*_):
        raise AssertionError("a minute for what takes a moment: time grows with the square")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, 60)  # of this process, however busy the machine is
    try:
        with contextlib.suppress(CorpusError):
            strip_wrapper(text)
        trim_blank_lines(text)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


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
