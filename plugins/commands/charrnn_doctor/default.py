"""What a run would do with a text by default, and how long that takes here."""

from dataclasses import dataclass
from typing import Any

from charrnn_core.network.pytree import count_parameters
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.width import widths
from charrnn_core.runs.compiled import keep_programs
from charrnn_core.runs.config import RunConfig
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.forecast import Forecast, forecast
from charrnn_core.training.setup import TrainingSetup, prepare

_RATES = ("dropout_output", "dropout_context", "dropout_rare")


@dataclass(frozen=True)
class Default:
    """What a run would do with a text.

    Arguments:
        setup: what it would train.
        forecast: how long that takes; None if it ends by the clock.
    """

    setup: TrainingSetup
    forecast: Forecast | None

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return count_parameters(self.setup.trainer.shapes.params)

    @property
    def passes(self) -> float:
        """How often the training part is read; infinite without an end."""
        steps = self.setup.budget.steps
        return float("inf") if steps is None else steps / self.setup.batching.steps_per_epoch

    def table(self) -> dict[str, Any]:
        """Return the plain form, for JSON."""
        config, found = self.setup.config, self.forecast
        return {
            "cell": config.cell.use,
            "widths": list(widths(config.cell)),
            "parameters": self.parameters,
            "batch": config.batch,
            "window": config.window,
            **{name: getattr(config, name) for name in _RATES},
            "passes": self.passes,
            "characters_per_second": None if found is None else found.characters_per_second,
            "minutes": None if found is None else found.seconds / 60,
            "notes": list(self.setup.notes),
        }

    def line(self) -> str:
        """Say it in a line."""
        config = self.setup.config
        width = ", ".join(map(str, widths(config.cell)))
        rates = ", ".join(f"{name} {getattr(config, name):g}" for name in _RATES)
        return (
            f"{config.cell.use}, features {width or 'of its own'}: {self.parameters:,} parameters; "
            f"batch {config.batch}, window {config.window}, {rates}; reads the training part "
            f"{self.passes:.3g} times"
        )


def probe(settings: RunConfig, corpus: Corpus, registry: Registry, started: float) -> Default:
    """Build what a run would train on a text, and train it for three seconds.

    Arguments:
        settings: the settings of the run.
        corpus: the text.
        registry: the plugins.
        started: the reading of ``time.monotonic()`` before anything heavy was imported.
    """
    keep_programs()
    context = TrainingContext(registry=registry, started=started, note=lambda line: None)
    # Whatever the source, it has been read.
    setup = prepare(settings.resolve(registry), context, read=lambda *source: corpus)
    return Default(setup, forecast(setup, started))
