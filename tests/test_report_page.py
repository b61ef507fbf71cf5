"""The page of ``charrnn report`` in a browser: what is seen, and that it needs no mouse."""

import shutil
from pathlib import Path

import pytest
from charrnn_report.watching import write_report

from charrnn_core import RunConfig, train
from charrnn_core.files.atomic import locked
from tests.resuming import quiet

BROWSER = Path("/usr/bin/chromium-headless-shell")
AXES = ["updates", "characters", "minutes"]
PAGES = ["one", "two", "live"]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if not BROWSER.exists():
        pytest.skip(f"{BROWSER} is absent")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(BROWSER))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(browser, tmp_path_factory, text_file) -> Path:
    """A folder with the reports of one run, of two, and of one that is trained."""
    folder = tmp_path_factory.mktemp("reports")
    config = RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=8, characters=4000, context=0,
        counts=0, observers="jsonl", sample_length=30, shards=1, eval_characters=1000,
    )  # fmt: skip
    one = train(config, out=folder / "a", note=quiet).directory
    other = Path(shutil.copytree(one, folder / "b"))
    settings = other / "config.toml"
    settings.write_text(settings.read_text().replace("sample_length = 30", "sample_length = 31"))
    write_report([one], folder / "one.html")
    write_report([one, other], folder / "two.html")
    (other / "evaluation.json").unlink()
    with locked(other / ".lock"):
        write_report([other], folder / "live.html")
    assert "the training, which is going on" in (folder / "live.html").read_text()
    return folder


@pytest.fixture(params=PAGES)
def page(request, browser, reports):
    """A report, open in a browser; at its end nothing has gone wrong in it."""
    path, faults, requests = reports / f"{request.param}.html", [], []
    page = browser.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert faults == [] and requests == [path.as_uri()] and path.stat().st_size < 500_000


def axes(page) -> list[str]:
    """What the curves that are seen are drawn over."""
    return page.eval_on_selector_all(
        ".by", "all => all.filter(e => e.checkVisibility()).map(e => e.className.split(' ')[1])"
    )


def test_the_axis_is_chosen_by_keyboard(page):
    page.keyboard.press("Tab")  # into the table of runs, which may have to scroll
    page.keyboard.press("Tab")
    for axis in [*AXES, AXES[0]]:
        assert axes(page) == [axis]
        assert page.evaluate("document.activeElement.id") == f"by-{axis}"
        page.keyboard.press("ArrowRight")


def test_samples_are_opened_by_keyboard(page):
    for summary in page.locator("summary").all():
        shown = summary.locator("xpath=..").locator("pre").first
        assert not shown.is_visible()
        summary.focus()
        page.keyboard.press("Enter")
        assert shown.is_visible()
    assert page.locator("pre").first.is_visible()


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_nothing_sticks_out(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    kinds = page.eval_on_selector_all(
        ".by > div", "all => all.filter(e => e.checkVisibility()).map(e => e.className)"
    )
    assert kinds == ["narrow" if width == 400 else "wide"]
    beyond = page.eval_on_selector_all(
        ".by > div > svg",
        """all => all.filter(svg => svg.checkVisibility()).flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text")].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1;
            }).map(text => text.textContent);
        })""",
    )
    assert beyond == []


def test_everything_has_a_name_and_a_place(page):
    """What axe-core finds no fault with; it was asked by hand."""
    assert page.locator("body > main").count() == page.locator("h1").count() == 1
    assert page.locator("body > :not(main)").count() == 0
    assert [text for text in page.locator("th").all_inner_texts() if not text.strip()] == []
    labels = page.eval_on_selector_all("input", "all => all.map(e => e.labels[0].innerText)")
    assert labels == AXES
    pictures = page.eval_on_selector_all(
        "svg:not(svg svg):not([aria-hidden])",
        "all => all.map(e => [e.getAttribute('role'), e.getAttribute('aria-label')])",
    )
    assert pictures and all(role == "img" and label for role, label in pictures)
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert page.get_attribute("html", "lang") == "en" and page.title()
