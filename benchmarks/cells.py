"""What each cell learns in the same time: held-out bits per character, without a context and with.

    CHARRNN_GUTENBERG_MIRROR=... python benchmarks/cells.py --source gutenberg:520 --source PATH

Every cell is made as wide as a number of parameters allows and trained for the same time by
``charrnn run`` with its defaults, but alone (``--counts 0``). Finished runs are kept in ``--out``
and not repeated, so the command can be interrupted and run again.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine, print_machine

from charrnn_core.runs.model import describe_run

CELLS = (
    "elman",
    "stacked:indrnn:256*3",
    "mgu",
    "gru",
    "lstm",
    "mlstm",
    "mogrifier",
    "rhn",
    "slstm",
    "stacked:mingru:256*3",
    "stacked:minlstm:256*3",
    "stacked:rglru:256*3",
    "flax:GRUCell",
)
"""The built-in cells; those whose gates do not read the state are stacked."""

_COMPLETE = ("finished", "stopped early")
"""The statuses of a run that is not to be repeated."""


def main() -> None:
    """Train every cell, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", action="append", required=True, help="a text; repeatable")
    parser.add_argument("--cell", action="append", help="a cell spec; repeatable (default: all)")
    parser.add_argument(
        "--context", type=int, nargs="+", default=[0, 6], help="contexts (default: 0 6)"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of each run (default: 2)")
    parser.add_argument("--params", default="350k", help="parameters (default: 350k)")
    parser.add_argument("--out", type=Path, default=Path("runs/cells"), help="keeps the runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    args = parser.parse_args()
    about, rows = machine(), []
    for cell in args.cell or CELLS:
        row: dict[str, Any] = {"cell": cell}
        for source, context in itertools.product(args.source, args.context):
            run = trained(cell, source, context, args)
            row |= {
                f"{key}, {source_name(source)}, context {context}": run[key]
                for key in ("bits", "bits of the last", "characters/s")
            }
        rows.append(row)
        if args.json:
            print(json.dumps(rows[-1]), flush=True)
        else:
            print_row(rows)
    print_machine(about | {"minutes": args.minutes, "split": "last-10%"})


def trained(cell: str, source: str, context: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train one cell on one text, unless this has been done; return its results."""
    name = f"{cell} {source_name(source)} {context}"
    out = args.out / name.replace("/", "-").replace(":", "-")
    if not out.exists() or describe_run(out)["status"] not in _COMPLETE:
        command = [sys.executable, "-m", "charrnn_core", "run", "--cell", cell, "--source", source]
        command += ["--params", args.params, "--split", "last-10%", "--minutes", str(args.minutes)]
        command += ["--context", str(context), "--counts", "0", "--quiet", "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((out / "evaluation.json").read_text())  # of all of the held-out text
    return {
        "bits": result["bits_per_char"],
        "bits of the last": (result["last"] or result)["bits_per_char"],
        "characters/s": statistics.median(row["characters_per_second"] for row in rows),
    }


def source_name(source: str) -> str:
    """Return a path's stem, or a spec unchanged."""
    return Path(source).stem if Path(source).exists() else source


def print_row(rows: list[dict[str, Any]]) -> None:
    """Print the last row of a Markdown table, and before the first row its head."""
    if len(rows) == 1:
        print(f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
    shown = [
        f"{v:.3f}" if "bits" in k else f"{v:,.0f}" if k != "cell" else v
        for k, v in rows[-1].items()
    ]
    print(f"| {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
