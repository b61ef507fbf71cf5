"""Measure the pages of a run in a browser: ready, recoloured, writing.

    python benchmarks/pages.py RUN TEXT

RUN is exported and inspected over TEXT. Printed: the sizes of both pages; until what is open is
ready; from a choice of a unit to the next frame that shows it; the characters that the exported
page writes in a second. Needs the extra ``browser`` and chromium-headless-shell.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine, print_machine

_RECOLOURED = """async (unit) => {
  const select = document.getElementById("unit"), began = performance.now();
  select.value = unit;
  select.dispatchEvent(new Event("input", { bubbles: true }));
  select.dispatchEvent(new Event("change", { bubbles: true }));
  await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
  return performance.now() - began;
}"""


def _page(command: str, path: Path, *arguments: str) -> Path:
    charrnn = str(Path(sys.executable).parent / "charrnn")
    subprocess.run([charrnn, command, *arguments, "--out", str(path)], check=True)
    print(f"{command}: {path.stat().st_size / 1e6:.2f} MB")
    return path


def _opened(browser: Any, path: Path, ready: str) -> Any:
    tab = browser.new_page()
    began = time.monotonic()
    tab.goto(path.as_uri())
    tab.wait_for_selector(ready)
    print(f"{path.stem}: ready after {time.monotonic() - began:.2f} s")
    return tab


def _recolour(tab: Any) -> None:
    units = tab.locator("#unit option").count()
    spent = [tab.evaluate(_RECOLOURED, str(unit)) for unit in range(0, units, max(1, units // 30))]
    print(f"inspect: recoloured in {median(spent):.0f} ms (median), {max(spent):.0f} ms (most)")


def _write(tab: Any) -> None:
    tab.fill("#length", "5000")
    for _ in range(3):
        tab.click("#write")
        tab.locator("#status", has_text="Done").wait_for(timeout=60_000)
        print(f"export: {tab.inner_text('#status')}")


def main() -> None:
    """Print the figures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("text")
    options = parser.parse_args()
    print_machine(machine())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        inspected = _page("inspect", Path(folder, "inspect.html"), options.run, options.text)
        exported = _page("export", Path(folder, "export.html"), options.run)
        shell = shutil.which("chromium-headless-shell")
        browser = player.chromium.launch(executable_path=shell, args=["--no-sandbox"])
        tab = _opened(browser, inspected, "body[data-ready]")
        _recolour(tab)
        tab.close()
        _write(_opened(browser, exported, "#write:enabled"))
        browser.close()


if __name__ == "__main__":
    main()
