"""What is said of a training, wherever it is shown."""

import math

from charrnn_core.events import Sampled, Started
from charrnn_core.terminal import number


def introduction(event: Started) -> list[str]:
    """Return lines about what is trained, and on what."""
    cell, source = event.config["cell"]["use"], event.config["source"]["use"]
    unit = "bytes" if event.config["alphabet"] == "bytes" else "characters"
    lines = [
        f"{cell} with {event.parameters:,} parameters on {source}: {event.symbols} symbols, "
        f"{event.train_characters:,} {unit} to learn from, "
        f"{event.held_out_characters:,} held out ({event.config['split']})"
    ]
    if event.step:
        lines.append(f"resuming from update {event.step:,}")
    if event.unroll:
        lines.append(f"unroll: {event.unroll}")
    if 0 < event.scored_characters < event.held_out_characters:
        lines.append(
            f"held-out losses are of {event.scored_characters:,} evenly spread {unit} until "
            "the end, and then of all"
        )
    return lines


def name_of_training_loss(event: Started) -> str:
    """Say what a training loss is of; held-out losses are of the network with its counts."""
    return "train (net)" if event.config.get("counts") else "train"


def sample_heading(event: Sampled, held_out: float, train: float) -> str:
    """Say when a sample was written, and how good the model was, as far as that is known."""
    losses = (("held-out", held_out), ("train", train))
    known = [f", {name} {number(nats, 3)} nats" for name, nats in losses if not math.isnan(nats)]
    return f"update {event.step:,}{''.join(known[:1])}"
