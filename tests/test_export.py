"""The command ``charrnn export``, and its page in a real browser where there is one."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn_core import RunConfig, train
from charrnn_core.api import evaluate, load, score, write
from tests import awkward_cells

BROWSER = shutil.which("chromium-headless-shell")
TEXT = "the cat sat on the mat.\nthe dog sat on the log.\n" * 60


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A small run of the default kind: with a context, and with counts."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "text.txt").write_text(TEXT)
    config = RunConfig(
        source=str(folder / "text.txt"), cell="gru:12", batch=4, window=8, characters=4000,
        embedding=8, context=3, counts=2, observers=(), shards=1,
    )  # fmt: skip
    train(config, out=folder / "cats", note=lambda line: None)
    return folder / "cats"


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    from tests.commands import in_process

    folder = tmp_path_factory.mktemp("page")
    result = in_process(("export", run, "--out", "cats.html"), folder, {}, None)
    assert result.returncode == 0, result.stderr
    return folder / "cats.html"


def test_a_process_writes_a_page(charrnn_process, run, tmp_path):
    result = charrnn_process("export", run)
    page = (tmp_path / "cats.html").read_text()
    assert result.returncode == 0, result.stderr
    counts, loss, where = result.stdout.splitlines()
    assert re.fullmatch(r"counts +included, 0\.\d MB", counts)
    assert re.fullmatch(r"held-out +[\d.]+ nats, [\d.]+ bits per character", loss)
    assert re.fullmatch(r"wrote cats\.html, 0\.\d\d MB; open it in any browser", where)
    assert "<title>gru" in page and "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_what_is_lost_is_what_evaluation_says(charrnn, run):
    """Without counts it is the row of the network alone; with them nothing is lost."""
    found = evaluate(load(run), baselines=False)
    assert found.alone is not None
    of_network, of_model = found.alone.nats_per_char, found.nats_per_char
    lines = charrnn("export", run, "--no-counts").stdout
    saved = re.search(
        r"counts +left out, which saves 0.\d MB, at a cost of ([\d.]+) nats per", lines
    )
    assert saved is not None and float(saved[1]) == pytest.approx(of_network - of_model, abs=1e-5)
    assert f"held-out  {of_network:.4f} nats, " in lines
    assert f"; without counts {of_network - of_model:+.5f} nats, from {of_model:.4f}" in lines
    assert f"held-out  {of_model:.4f} nats, " in charrnn("export", run, "--counts").stdout
    lines = charrnn("export", run, "--float16").stdout
    assert "wrote cats.float16.html, " in lines
    assert re.search(r"; as float16 [+-]0\.00\d{3} nats, from", lines)


def test_half_the_numbers_are_half_the_page(charrnn, run, tmp_path):
    def packed(name: str, *options: str) -> Any:
        assert not charrnn("export", run, "--no-counts", "--out", name, *options).returncode
        found = re.search(r'id="data">(.*?)</script>', (tmp_path / name).read_text())
        assert found is not None
        return json.loads(found[1])["packed"]

    whole, half = packed("a.html"), packed("b.html", "--float16")
    kinds = {kind for kind, _ in half["arrays"]}
    assert "float16" in kinds and len(half["base64"]) < 0.7 * len(whole["base64"])


def test_without_its_text_a_model_is_exported_all_the_same(charrnn, run, tmp_path):
    moved = tmp_path / "alone.crn"
    shutil.copy(sorted((run / "checkpoints").glob("*.crn"))[-1], moved)
    text = run.parent / "text.txt"
    text.rename(text.with_suffix(".away"))
    try:
        result = charrnn("export", moved)
    finally:
        text.with_suffix(".away").rename(text)
    assert result.returncode == 0, result.stderr
    assert "held-out  not measured: " in result.stdout and (tmp_path / "alone.html").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("nowhere",), "nowhere"),
        (("RUN", "--to", "pdf"), "'pdf' is not one of 'html', 'safetensors', 'onnx', 'stablehlo'"),
        (("RUN", "--out", "missing/page.html"), "missing"),
    ],
)
def test_bad_arguments_are_one_line(charrnn, run, arguments, said):
    result = charrnn("export", *(run if word == "RUN" else word for word in arguments))
    assert result.returncode in (1, 2) and said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


PLUGIN = """
from charrnn_core import CellPlugin, hookimpl


@hookimpl
def charrnn_cells():
    yield CellPlugin(name="deriving", target=Deriving, summary="a cell that cannot be exported")
"""


def test_a_cell_that_cannot_be_exported_is_named(charrnn, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "deriving.py").write_text(Path(awkward_cells.__file__).read_text() + PLUGIN)
    plugin = ("--plugin", "deriving.py")
    done = charrnn(
        *("run", "--source", "text.txt", "--cell", "deriving", "--chars", "500", "--batch", 2),
        *("--context", 0, "--counts", 0, "--out", "run", "--quiet", *plugin),
    )
    assert done.returncode == 0, done.stderr
    result = charrnn("export", "run", *plugin)
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1 and "deriving.py:" in last and "digamma" in last
    assert not (tmp_path / "run.html").exists()


@pytest.fixture(scope="module")
def tab(exported) -> Iterator[Any]:
    """The page, open in a browser, with what it asked for and complained of."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("there is no chromium-headless-shell")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.asked, tab.complaints = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.goto(exported.as_uri())
        tab.locator("#write:enabled").wait_for()
        yield tab
        browser.close()


def test_the_page_asks_for_nothing_and_complains_of_nothing(tab):
    assert [url for url in tab.asked if not url.startswith("blob:")] == [tab.url]
    assert tab.complaints == []


def test_the_page_writes_what_the_model_writes(tab, run):
    tab.fill("#prompt", "the ")
    tab.fill("#temperature", "0")
    tab.fill("#length", "200")
    tab.click("#write")
    tab.locator("#status", has_text="Done: 200 characters").wait_for()
    pieces = write(load(run), "the ", 200, sampler="greedy")
    assert tab.locator("#written").text_content() == "".join(one.text for [one] in pieces)


def test_without_workers_the_page_itself_runs_the_model(tab, run):
    """As in a browser that makes no worker for a file."""
    other = tab.context.browser.new_page()
    other.add_init_script("window.Worker = class { constructor() { throw new Error('none'); } };")
    other.goto(tab.url)
    other.locator("#write:enabled").wait_for()
    for field, value in (("prompt", "the "), ("temperature", "0"), ("length", "30")):
        other.fill(f"#{field}", value)
    other.click("#write")
    other.locator("#status", has_text="Done: 30 characters").wait_for()
    pieces = write(load(run), "the ", 30, sampler="greedy")
    assert other.locator("#written").text_content() == "".join(one.text for [one] in pieces)
    other.close()


def test_the_page_scores_what_is_typed_as_the_command_does(tab, run):
    typed = "the cat sat on the log.\n"
    read(tab, typed)
    (run.parent / "typed.txt").write_text(typed)
    scored = [each.bits for each in score(load(run), source=str(run.parent / "typed.txt"))]
    shown = re.match(r"([\d.]+) bits per character", tab.inner_text("#score"))
    assert shown is not None and float(shown[1]) == pytest.approx(
        sum(scored) / len(typed), abs=1e-3
    )


def read(tab: Any, text: str) -> None:
    """Type a text, and wait until it has been read."""
    tab.fill("#own", "")
    tab.locator("#read span").first.wait_for(state="detached")
    tab.fill("#own", text)
    tab.locator("#score", has_text="bits in all").wait_for()


def test_a_character_is_explained_by_keyboard(tab):
    read(tab, "the cat")
    tab.focus("#read")
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    assert "e" in tab.inner_text("#detail").split(",")[0]
    assert tab.locator("#detail li").count() == 5
    tab.keyboard.press("End")
    assert "t" in tab.inner_text("#detail").split(",")[0]


def test_a_character_that_the_model_lacks_is_named(tab):
    read(tab, "the Q cat")
    assert "has never seen them: Q" in tab.inner_text("#score")


def test_every_field_has_a_name(tab):
    fields = tab.locator("input, select, textarea, button")
    names = fields.evaluate_all(
        "all => all.map(e => e.labels?.[0]?.textContent.trim() || e.textContent.trim())"
    )
    assert len(names) == 10 and all(names)
