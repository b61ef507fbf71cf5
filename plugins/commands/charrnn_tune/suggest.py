"""What to try next: drawn at random, or where earlier trials say that it is promising."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Literal

from charrnn_core.errors import CharRNNError
from charrnn_tune.space import (
    CHOICES,
    LEAST_RATE,
    MOST_RATE,
    RATE,
    Settings,
    drawn,
    of_default,
    rounded,
)

How = Literal["random", "tpe"]


def suggested(
    how: str,
    seed: int,
    number: int,
    cells: Sequence[str],
    before: Sequence[tuple[Settings, float]],
) -> Settings:
    """Return the settings of a trial; the first has those of a run without any options.

    They follow from the arguments alone.

    Arguments:
        how: ``random``; or ``tpe``, a tree of Parzen estimators, by optuna.
        seed, number: of the tuning, and of the trial.
        cells: the cells to try.
        before: the settings of earlier trials, with what they had reached after the first rung.

    Raises:
        CharRNNError: optuna is missing.

    Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011.
    """
    if number == 0:
        return of_default(cells)
    return _likely(seed, number, cells, before) if how == "tpe" else drawn(seed, number, cells)


def check_installed(how: str) -> None:
    """Check that what is asked for can be had.

    Raises:
        CharRNNError: optuna is missing; the message says how to install it.
    """
    if how == "tpe":
        try:
            importlib.import_module("optuna")
        except ImportError as error:
            raise CharRNNError("optuna is missing; pip install 'charrnn[tune]'") from error


def _likely(
    seed: int, number: int, cells: Sequence[str], before: Sequence[tuple[Settings, float]]
) -> Settings:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: Mapping[str, optuna.distributions.BaseDistribution] = {
        "cell": optuna.distributions.CategoricalDistribution(tuple(cells)),
        **{n: optuna.distributions.CategoricalDistribution(v) for n, v in CHOICES.items()},
        RATE: optuna.distributions.FloatDistribution(LEAST_RATE, MOST_RATE, log=True),
    }
    # A sampler for each trial, so that a tuning that goes on asks for what it would have asked for.
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed + 1000 * number))
    for settings, nats in before:
        if settings.keys() != space.keys():  # a run's own, whose width its length decides
            continue
        study.add_trial(
            optuna.trial.create_trial(params=settings, distributions=dict(space), value=nats)
        )
    found = study.ask(dict(space)).params
    return {**found, RATE: rounded(found[RATE])}
