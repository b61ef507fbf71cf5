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
        embedding=8, context=3, counts=2, observers=(), shards=1, prompt="the ",
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
    lost, where = result.stdout.splitlines()
    assert re.fullmatch(
        r"held-out  [\d.]+ nats per character without counts, [\d.]+ (more|less) than the run's "
        "model",
        lost,
    )
    assert where.startswith("cats.html: ") and "any browser" in where
    assert "<h1>cats</h1>" in page and "http" not in re.sub("http-equiv", "", page)


def test_what_is_lost_is_what_evaluation_says(charrnn, run):
    """Without counts it is the row of the network alone; with them nothing is lost."""
    found = evaluate(load(run), baselines=False)
    assert found.alone is not None
    lines = charrnn("export", run).stdout
    assert f"held-out  {found.alone.nats_per_char:.4f} nats per character without counts" in lines
    lines = charrnn("export", run, "--counts").stdout
    assert f"held-out  {found.nats_per_char:.4f} nats per character\n" in lines
    lines = charrnn("export", run, "--counts", "--float16").stdout
    assert re.search(r"in float16, 0\.00\d\d (more|less) than the run's model", lines)


def test_half_the_numbers_are_half_the_page(charrnn, run, tmp_path):
    def data(name: str, *options: str) -> Any:
        assert not charrnn("export", run, "--out", name, *options).returncode
        found = re.search(r'id="data">(.*?)</script>', (tmp_path / name).read_text())
        assert found is not None
        return json.loads(found[1])["model"]["packed"]

    whole, half = data("a.html"), data("b.html", "--float16")
    kinds = {kind for kind, _ in half["arrays"]}
    assert "float16" in kinds and "float32" not in kinds
    assert len(half["base64"]) < 0.7 * len(whole["base64"])


def test_without_its_text_a_model_is_exported_all_the_same(charrnn, run, tmp_path):
    moved = tmp_path / "alone.crn"
    shutil.copy(sorted((run / "checkpoints").glob("*.crn"))[-1], moved)
    text = run.parent / "text.txt"
    held = text.read_text()
    text.unlink()
    try:
        result = charrnn("export", moved)
    finally:
        text.write_text(held)
    assert result.returncode == 0, result.stderr
    assert "note: the held-out loss was not measured: " in result.stdout
    assert (tmp_path / "alone.html").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("nowhere",), "nowhere"),
        (("RUN", "--to", "onnx"), "'onnx' is not 'html'"),
        (("RUN", "--out", "missing/page.html"), "missing"),
    ],
)
def test_bad_arguments_are_one_line(charrnn, run, arguments, said):
    result = charrnn("export", *(run if word == "RUN" else word for word in arguments))
    assert result.returncode in (1, 2) and said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_cell_that_cannot_be_exported_is_named(charrnn, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    fourier = Path(awkward_cells.__file__).read_text()
    (tmp_path / "fourier.py").write_text(
        f"{fourier}\n\n"
        "from charrnn_core import CellPlugin, hookimpl\n\n\n"
        "@hookimpl\n"
        "def charrnn_cells():\n"
        "    yield CellPlugin(name='fourier', target=lambda options: Fourier(), summary='a cell')\n"
    )
    plugin = ("--plugin", "fourier.py")
    done = charrnn(
        *("run", "--source", "text.txt", "--cell", "fourier", "--chars", "500", "--batch", 2),
        *("--context", 0, "--counts", 0, "--out", "run", "--quiet", *plugin),
    )
    assert done.returncode == 0, done.stderr
    result = charrnn("export", "run", *plugin)
    assert result.returncode == 1 and "fourier.py:" in result.stderr and "fft" in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not (tmp_path / "run.html").exists()


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
        tab.wait_for_selector("html[data-ready=yes]")
        yield tab
        browser.close()


def test_the_page_asks_for_nothing_and_complains_of_nothing(tab):
    assert [url for url in tab.asked if not url.startswith("blob:")] == [tab.url]
    assert tab.complaints == []


def test_the_page_writes_what_the_model_writes(tab, run):
    tab.fill("#temperature", "0")
    tab.fill("#length", "200")
    tab.click("#go")
    tab.wait_for_selector("html[data-done=write]")
    model = load(run)
    pieces = write(alone(model), "the ", 200, sampler="greedy")
    assert tab.inner_text("#written") == "the " + "".join(one.text for [one] in pieces)
    assert "characters a second" in tab.inner_text("#status")


def alone(model: Any) -> Any:
    """The model without counts, as the page has it."""
    from dataclasses import replace

    from charrnn_core.network.counts import without_counts

    return replace(model, params=without_counts(model.params))


def test_the_page_scores_what_is_typed(tab, run):
    typed = "the cat sat on the log.\n"
    tab.fill("#typed", typed)
    tab.wait_for_selector("html[data-done=read]")
    source = run.parent / "typed.txt"
    source.write_text(typed)
    scored = list(score(alone(load(run)), source=str(source)))
    shown = re.match(r"([\d.]+) bits per character over (\d+)\.", tab.inner_text("#score"))
    assert shown is not None and int(shown[2]) == len(typed)
    # The page begins at the beginning of a line, and `score` with nothing read.
    assert float(shown[1]) == pytest.approx(sum(s.bits for s in scored[1:]) / len(typed), abs=0.4)


def test_a_character_is_explained_by_keyboard(tab):
    tab.fill("#typed", "the cat")
    tab.wait_for_selector("html[data-done=read]")
    tab.focus("#read")
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#character").startswith("e: ")
    assert tab.locator("#character li").count() == 5
    tab.keyboard.press("End")
    assert tab.inner_text("#character").startswith("t: ")


def test_a_character_that_the_model_lacks_is_named(tab):
    tab.fill("#typed", "the Q cat")
    tab.wait_for_selector("html[data-done=read]")
    assert tab.inner_text("#score").startswith("The model does not know Q. ")


def test_every_field_has_a_name(tab):
    nameless = tab.evaluate(
        "() => [...document.querySelectorAll('input, select, textarea, button')]"
        ".filter((e) => !e.labels?.length && !e.textContent.trim()).map((e) => e.id)"
    )
    assert nameless == []
