"""optax's optimizers with gradient clipping and a learning-rate schedule.

Each function takes its options and the number of updates of the run, and returns an
``optax.GradientTransformation``.
"""

from typing import Any

import optax

from charrnn_core.schedules import Schedule, Steps, constant, cosine, exponential, linear


def adam(options: Any, total_steps: Steps) -> optax.GradientTransformation:
    """Return Adam: ``w -= rate * m / (sqrt(v) + eps)`` with bias-corrected moments m and v."""
    return clipped(options, optax.adam(scheduled(options, total_steps), options.b1, options.b2))


def nadam(options: Any, total_steps: Steps) -> optax.GradientTransformation:
    """Return NAdam: Adam whose step is ``b1 m + (1 - b1) g`` in the place of ``m``.

    Source: Dozat 2016, *Incorporating Nesterov Momentum into Adam*.
    """
    rate = scheduled(options, total_steps)
    return clipped(options, optax.nadam(rate, options.b1, options.b2))


def adamw(options: Any, total_steps: Steps) -> optax.GradientTransformation:
    """Return AdamW: Adam, and ``w -= rate * weight_decay * w``."""
    rate = scheduled(options, total_steps)
    decay = options.weight_decay
    return clipped(options, optax.adamw(rate, options.b1, options.b2, weight_decay=decay))


def rmsprop(options: Any, total_steps: Steps) -> optax.GradientTransformation:
    """Return RMSProp: ``w -= rate * g / sqrt(average of g squared)``."""
    return clipped(options, optax.rmsprop(scheduled(options, total_steps), options.decay))


def sgd(options: Any, total_steps: Steps) -> optax.GradientTransformation:
    """Return SGD with momentum: ``m = momentum * m + g;  w -= rate * m``."""
    return clipped(options, optax.sgd(scheduled(options, total_steps), options.momentum or None))


def scheduled(options: Any, total_steps: Steps) -> Schedule:
    """Return the learning rate of each update, for a run of this many."""
    peak, warmup, final = options.learning_rate, options.warmup, options.final
    if options.schedule == "constant":
        return constant(peak, warmup)
    if options.schedule == "linear":
        return linear(peak, total_steps, warmup, final)
    if options.schedule == "exponential":
        return exponential(peak, total_steps, warmup, final, options.hold, options.stairs)
    return cosine(peak, total_steps, warmup, final)


def clipped(options: Any, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Clip the gradient before the optimizer, by its elements and by its global norm.

    Source of the latter: Pascanu et al. 2013, arXiv 1211.5063.
    """
    clips = []
    if options.clip_value:
        clips.append(optax.clip(options.clip_value))
    if options.clip:
        clips.append(optax.clip_by_global_norm(options.clip))
    return optax.chain(*clips, optimizer) if clips else optimizer
