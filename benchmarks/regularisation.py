"""Is regularisation by rule as good as the best that could be set by hand?

    python benchmarks/texts.py --out TEXTS
    python benchmarks/regularisation.py TEXTS/*.txt --out regularisation.jsonl

Every text is trained on with every cell, for every budget, once with `auto` and once with each of
five fixed settings. The figure is the least loss on held-out text among five evaluations: that of
the checkpoint that would be used. One table is of models as they are used, mixed with counts of
their text, and one of the same networks alone. Results are appended to ``--out`` and not repeated,
so the command can be interrupted and run again.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from charrnn_core import RunConfig
from charrnn_core.cell import Params
from charrnn_core.devices import use_every_core

use_every_core()

from machine import machine, print_machine  # noqa: E402 - jax reads the number of devices once

from charrnn_core.evaluation.comparison import ScoredPart  # noqa: E402
from charrnn_core.evaluation.row import Row  # noqa: E402
from charrnn_core.evaluation.unknown import Unknown  # noqa: E402
from charrnn_core.events import Evaluated, Incident  # noqa: E402
from charrnn_core.network.counts import with_counts  # noqa: E402
from charrnn_core.runs.compiled import keep_programs  # noqa: E402
from charrnn_core.runs.loop_state import LoopState  # noqa: E402
from charrnn_core.runs.of_text import OfText  # noqa: E402
from charrnn_core.training.held_out import HeldOut  # noqa: E402
from charrnn_core.training.loop import TrainingLoop  # noqa: E402
from charrnn_core.training.setup import TrainingSetup, prepare  # noqa: E402
from charrnn_core.training.state import TrainState  # noqa: E402

RATES = ("dropout_output", "dropout_context", "dropout_rare")
FIXED = ((0.0, 0.0, 0.0), (0.0, 0.3, 8.0), (0.1, 0.2, 4.0), (0.2, 0.4, 8.0), (0.4, 0.6, 16.0))
SETTINGS: Mapping[str, Mapping[str, float]] = {"auto": {}} | {
    " / ".join(f"{rate:g}" for rate in rates): dict[str, float](zip(RATES, rates, strict=True))
    for rates in FIXED
}
"""What is dropped: the rates of the output, the context, and its rare rows."""

_EVALUATIONS = 5

_OF_TEXTS: dict[tuple[Any, ...], OfText] = {}
"""What each text told a network, for a budget: to find that once is enough."""


class Glances:
    """The `Host` of a training of which nothing is kept but losses on held-out text."""

    def __init__(self, setup: TrainingSetup) -> None:
        part = ScoredPart(
            alphabet=setup.alphabet,
            split=setup.config.split,
            part="valid",
            pieces=setup.held_out,
            unknown=Unknown.none(setup.alphabet),
        )
        counts = setup.of_text().counts
        self._alone, self._mixed = (
            HeldOut(part, setup.network, setup.config.shards, partial(with_counts, table=table))
            for table in (None, counts)
        )
        self.alone: list[float] = []

    def evaluate(self, params: Params) -> Row:
        self.alone.append(self._alone.glance(params).nats_per_char)
        return self._mixed.glance(params)

    def seconds_to_close(self, loop: LoopState, seconds_per_character: float) -> float:
        del loop, seconds_per_character
        return 0.0

    def begin_updates(self) -> None:
        pass

    def sample(self, state: TrainState) -> str:
        del state
        return ""

    def save(self, state: TrainState, loop: LoopState) -> Path:
        del state, loop
        return Path()

    def roll_back(self, loop: LoopState) -> tuple[TrainState, LoopState]:
        raise NotImplementedError("non_finite is 'stop'")

    def log_incident(self, incident: Incident) -> int:
        raise NotImplementedError(f"{incident} of a training that was expected to have none")

    def should_stop(self) -> bool:
        return False


def losses(config: RunConfig) -> tuple[RunConfig, list[float], list[float]]:
    """Train; return what the configuration became, and the held-out nats: mixed, and alone."""
    text = config.source, config.characters
    setup = prepare(config.resolve(), of_text=_OF_TEXTS.get(text))
    _OF_TEXTS[text] = setup.of_text()
    host = Glances(setup)
    assert setup.budget.steps is not None, "a budget in characters is one in updates"
    policy = dataclasses.replace(
        setup.policy,
        save_seconds=float("inf"),
        eval_interval=max(1, setup.budget.steps // _EVALUATIONS),
        patience=0,
    )
    loop = TrainingLoop(
        trainer=setup.trainer,
        state=setup.trainer.init(),
        loop=LoopState(),
        batching=setup.batching,
        window=setup.config.window,
        budget=setup.budget,
        policy=policy,
        host=host,
    )
    nats = [event.nats_per_char for event in loop.events() if isinstance(event, Evaluated)]
    return setup.config, nats, host.alone


def cases(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield every combination, the settings of one case one after the other."""
    for characters in args.characters:
        for text in args.texts:
            for cell in args.cells:
                for setting in args.settings:
                    yield {
                        "text": text.stem,
                        "cell": cell,
                        "features": args.features,
                        "characters": characters,
                        "setting": setting,
                        "seed": args.seed,
                    }


def measured(case: dict[str, Any], text: Path) -> dict[str, Any]:
    """Return a case with its result."""
    config = RunConfig(
        source=f"file:{text}",
        cell=f"{case['cell']}:{case['features']}",
        characters=case["characters"],
        seed=case["seed"],
        sample_every=1e6,
        observers=(),
    )
    config = dataclasses.replace(config, **SETTINGS[case["setting"]])
    began = time.monotonic()
    became, nats, alone = losses(config)
    return case | {
        "rates": [getattr(became, name) for name in RATES],
        "nats": [round(value, 4) for value in nats],
        "alone": [round(value, 4) for value in alone],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Train what is not in the file of results yet, and print a table of all that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("texts", type=Path, nargs="+", help="files from texts.py")
    parser.add_argument("--out", type=Path, required=True, help="keeps the results")
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru", "elman"], help="cells")
    parser.add_argument("--features", type=int, default=64, help="H (default: 64)")
    parser.add_argument("--characters", type=int, nargs="+", default=[300_000, 1_000_000])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    about, paths = machine(), {path.stem: path for path in args.texts}
    keep_programs()
    wanted = list(cases(args))
    known = read_results(args.out)
    for case in wanted:
        if key(case) not in known:
            result = measured(case, paths[case["text"]])
            known[key(case)] = result
            with open(args.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
    for figure, of in (("nats", "Models as they are used"), ("alone", "Their networks alone")):
        print(f"\n{of}:\n")
        print_table([known[key(case)] for case in wanted], figure)
    print_machine(about)


def key(case: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells cases apart."""
    return tuple(
        case[name] for name in ("text", "cell", "features", "characters", "setting", "seed")
    )


def read_results(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what was measured before, by case."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    results = [json.loads(line) for line in lines]
    return {key(result): result for result in results}


def print_table(results: list[dict[str, Any]], figure: str) -> None:
    """Print a row for every text, cell and budget: what each setting reached, by that figure."""
    rows: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for result in results:
        row = rows.setdefault((result["text"], result["cell"], result["characters"]), {})
        row[result["setting"]] = result
    names = [name for name in SETTINGS if any(name in row for row in rows.values())]
    print(f"| text | cell | characters | {' | '.join(names)} | auto is | above the best |")
    print("|---|---|---" + "|---" * len(names) + "|---|---|")
    for (text, cell, characters), row in rows.items():
        nats = {name: min(result[figure]) for name, result in row.items()}
        fixed = [value for name, value in nats.items() if name != "auto"]
        shown = [f"{nats[name]:.3f}" if name in nats else "" for name in names]
        auto, above = row.get("auto"), ""
        rule = " / ".join(f"{rate:g}" for rate in auto["rates"]) if auto else ""
        if auto and fixed:
            above = f"{nats['auto'] - min(fixed):+.3f}"
        print(f"| {text} | {cell} | {characters:,} | {' | '.join(shown)} | {rule} | {above} |")


if __name__ == "__main__":
    main()
