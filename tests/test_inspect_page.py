"""The page of ``charrnn inspect`` in a browser: what is seen, and that it needs no mouse."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from charrnn_core import load
from charrnn_core.inspection.reading import read_text
from charrnn_core.sampling.prompt import encode_prompt
from charrnn_core.text.split import Piece
from tests.inspected import data_of, made, unpacked

BROWSER = Path("/usr/bin/chromium-headless-shell")
TEXT = 'Ann sees Bob and 7.\nCyd hears "Dee" and 12.\n' * 8


@pytest.fixture(scope="module")
def page(tmp_path_factory, text_file):
    """The page, open in a browser, and its data; at its end nothing has gone wrong in it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not BROWSER.exists():
        pytest.skip(f"{BROWSER} is absent")
    from tests.commands import in_process

    folder = tmp_path_factory.mktemp("page")
    (folder / "learnt.txt").write_text(text_file.read_text() + '"')
    (folder / "text.txt").write_text(TEXT)
    made(folder / "run", folder / "learnt.txt")
    done = in_process(["inspect", "run", "text.txt"], folder, {})
    assert done.returncode == 0, done.stderr
    path, faults, requests = folder / "inspect.html", [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(BROWSER))
        page = browser.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        yield page, data_of(path), load(folder / "run")
        browser.close()
    assert faults == [] and requests == [path.as_uri()]


def classes(page) -> list[str]:
    return page.eval_on_selector_all("#text span", "spans => spans.map(s => s.className)")


def levels(found: list[str]) -> np.ndarray:
    signs = {"": 0, "p": 1, "m": -1}
    return np.array([signs[each[:1]] * int(each[1:] or 0) for each in found])


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def at(page) -> int:
    [place] = page.eval_on_selector_all(
        "#text span", "spans => spans.flatMap((s, i) => 'at' in s.dataset ? [i] : [])"
    )
    return place


def test_the_text_has_the_colours_of_the_chosen_unit(page):
    page, data, _ = page
    shown = page.eval_on_selector_all("#text span", "spans => spans.map(s => s.textContent)")
    assert "".join(shown).replace("↵", "\n") == TEXT
    table = unpacked(data)["levels"].reshape(len(data["units"]), -1)
    for unit in (1, 0):
        page.select_option("#unit", str(unit))
        assert (levels(classes(page)) == table[unit]).all() and np.ptp(table[unit]) > 20
    page.check('[value="surprise"]')
    bits = unpacked(data)["bits"]
    np.testing.assert_allclose(levels(classes(page)), np.minimum(31, bits * 31 / 8), atol=0.51)
    page.check('[value="unit"]')


def test_what_is_out_of_sight_is_left_alone(page):
    """It makes a new colour quick: benchmarks/pages.py measures it."""
    page, _, _ = page
    skipped = "all => all.map(e => getComputedStyle(e).contentVisibility)"
    assert set(page.eval_on_selector_all("#text > div", skipped)) == {"auto"}


def test_signs_are_seen_without_colour(page):
    page, _, _ = page
    lines = "spans => spans.map(s => getComputedStyle(s).textDecorationLine)"
    for on in (True, False):
        page.set_checked("#signs", on)
        seen = page.eval_on_selector_all("#text span", lines)
        for level, line in zip(levels(classes(page)), seen, strict=True):
            strong = on and abs(level) >= 10
            assert line == (("overline" if level > 0 else "underline") if strong else "none")
    page.set_checked("#signs", True)


def test_everything_is_done_by_keyboard(page):
    page, data, _ = page
    page.focus('[name="view"]:checked')  # what comes first in the page
    reached = []
    for _ in range(200):
        press(page, "Tab")
        name = page.evaluate(
            "(e => e === document.body ? '' : e.id || e.dataset.unit || e.name || 'scrolled')"
            "(document.activeElement)"
        )
        if not name:
            break
        reached.append(name)
    every = page.eval_on_selector_all(
        "button:not(:disabled), select, input, textarea, [tabindex='0']",
        "all => all.filter(e => e.type !== 'radio' && e.checkVisibility()).length",
    )
    assert len([name for name in reached if name not in ("view", "scrolled")]) == every
    page.focus("#text")
    press(page, "Control+Home", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert at(page) == 1
    press(page, "End")
    assert at(page) == TEXT.index("\n")
    press(page, "ArrowDown", "Home")
    assert at(page) == TEXT.index("\n") + 1
    press(page, "ArrowUp")
    assert at(page) == 0
    press(page, "PageDown", "PageDown", "PageDown", "Control+End")
    assert at(page) == len(TEXT) - 1
    unit = int(page.input_value("#unit"))
    press(page, "+", "+", "-")
    assert int(page.input_value("#unit")) == (unit + 1) % len(data["units"])


def test_a_character_is_told_with_its_bits_its_unit_and_what_may_follow(page):
    page, data, _ = page
    page.focus("#text")
    press(page, "Control+Home", "ArrowRight", "ArrowRight")
    told = page.inner_text("#character")
    bits, unit = unpacked(data)["bits"][2], data["units"][int(page.input_value("#unit"))]
    assert told.startswith(f"n (3 of {len(TEXT)}) cost {bits:.3f} bits. {unit['name']} is ")
    value = float(re.search(r" is (.*)\.$", told)[1].replace("−", "-"))
    level = levels(classes(page))[2]
    assert value == pytest.approx(unit["origin"] + level * unit["scale"] / 31, abs=0.06)
    rows = page.eval_on_selector_all("#next tr", "rows => rows.map(r => r.innerText)")
    top = unpacked(data)["top"].reshape(-1, 5)[2]
    names = [{" ": "␣"}.get(data["symbols"][i], data["symbols"][i]) for i in top]
    assert [row.split("\t")[0] for row in rows] == names
    shares = unpacked(data)["chances"].reshape(-1, 5)[2] / 255 * 100
    assert [int(row.split("\t")[1]) for row in rows] == pytest.approx(shares, abs=0.51)


def test_a_prediction_is_seen_to_depend_on_what_came_before(page):
    page, data, _ = page
    page.check('[value="depends"]')
    page.focus("#text")
    press(page, "Control+Home", *["ArrowRight"] * 20)
    row = unpacked(data)["depends"].reshape(-1, 64)[21].astype(int)
    seen = levels(classes(page))
    np.testing.assert_allclose(seen[20::-1], row[:21] * 31 / 15, atol=0.51)
    assert not seen[21:].any() and seen.max() == 31
    page.check('[value="unit"]')


def test_a_text_that_is_typed_is_read_as_by_the_network(page):
    page, _, model = page
    own = 'Dee sees "Bob".☃'
    page.fill("#typed", own)
    page.click("#read")
    page.locator("#said", has_text="average").wait_for()
    page.click("#given")
    page.click("#read")  # once more, from the beginning
    page.locator("#said", has_text="average").wait_for()
    assert "lacks: ☃" in page.inner_text("#said") and page.is_disabled("#depends")
    ids = model.alphabet.encode(own, "skip")
    [before] = encode_prompt(model.alphabet, "")
    read = read_text(model.network, model.params, [Piece(int(before), ids)])
    unit = int(page.input_value("#unit"))
    given = page.evaluate("unit => DATA.units[unit]", unit)
    at = [*map(str, read.units)].index(given["name"])
    shown = given["origin"] + levels(classes(page)) * given["scale"] / 31
    wanted = np.clip(read.values[:, at], -given["scale"], given["scale"])
    np.testing.assert_allclose(shown, wanted, atol=given["scale"] / 31)
    bits = page.evaluate("[...text.read.bits]")
    np.testing.assert_allclose(bits, read.nats / np.log(2), atol=1e-4)
    page.click("#given")
    assert len(classes(page)) == len(TEXT) and not page.is_disabled("#depends")


def test_a_pointer_shows_and_a_click_chooses(page):
    page, _, _ = page
    page.focus("#text")
    press(page, "Control+Home")
    spans = page.locator("#text span")
    spans.nth(5).hover()
    assert at(page) == 5
    page.mouse.move(1, 1)
    assert at(page) == 0
    spans.nth(7).click()
    page.mouse.move(1, 1)
    assert at(page) == 7


def test_buttons_colour_by_the_unit_they_name(page):
    page, data, _ = page
    button = page.locator("table.features button").nth(3)
    button.click()
    assert page.input_value("#unit") == button.get_attribute("data-unit")
    assert button.get_attribute("aria-pressed") == "true"
    alike = page.locator("#like button").first
    assert (
        int(alike.get_attribute("data-unit"))
        == data["units"][int(page.input_value("#unit"))]["like"][0][0]
    )
    wanted = alike.get_attribute("data-unit")
    alike.click()
    assert page.input_value("#unit") == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read_on_every_colour(page, scheme):
    page, _, _ = page
    page.emulate_media(color_scheme=scheme)
    found = page.evaluate("""() => {
        const pair = (level) => {
            const e = document.querySelector("#text").appendChild(document.createElement("span"));
            e.className = level;
            const options = { willReadFrequently: true };
            const c = document.createElement("canvas").getContext("2d", options);
            const rgb = (colour) => {
                c.fillStyle = colour;
                c.fillRect(0, 0, 1, 1);
                return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3);
            };
            const style = getComputedStyle(e);
            const found = [rgb(style.color), rgb(style.backgroundColor)];
            e.remove();
            return found;
        };
        return ["p31", "m31", "p16", "m16"].map(pair);
    }""")
    for ink, paper in found:
        light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    page.emulate_media(color_scheme="light")


def luminance(rgb: list[int]) -> float:
    """WCAG 2.2's relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in np.array(rgb) / 255]  # fmt: skip
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(page, scheme):
    """Ask axe-core, which anyone can fetch (``npm pack axe-core``) and name in CHARRNN_AXE."""
    axe = os.environ.get("CHARRNN_AXE")
    if axe is None:
        pytest.skip("CHARRNN_AXE does not name a file axe.min.js")
    page, _, _ = page
    page.emulate_media(color_scheme=scheme)
    page.evaluate(Path(axe).read_text())
    for view in ("surprise", "depends", "unit"):
        page.check(f'[value="{view}"]')
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []
    page.emulate_media(color_scheme="light")


def test_everything_has_a_name_and_a_place(page):
    """What axe-core would find, and more, where there is none."""
    page, _, _ = page
    assert page.locator("main").count() == page.locator("h1").count() == 1
    unnamed = page.eval_on_selector_all(
        "button, select, input, textarea",
        "all => all.filter(e => !e.innerText.trim() && !e.labels?.length).map(e => e.outerHTML)",
    )
    assert unnamed == []
    pictures = page.eval_on_selector_all(
        "svg", "all => all.map(e => [e.getAttribute('role'), e.getAttribute('aria-label')])"
    )
    assert pictures and all(role == "img" and label for role, label in pictures)
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids)) and set(
        page.get_attribute("#text", "aria-describedby").split()
    ) <= set(ids)
    assert page.get_attribute("html", "lang") == "en" and page.title()


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_nothing_sticks_out(page, width):
    page, _, _ = page
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
