"""Reading TensorBoard's event files, and comparing them with the other logs of a run."""

import json
import struct
from pathlib import Path

import numpy as np
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

Event = vars(event_pb2)["Event"]
COLUMNS = {
    "train_nats_per_char": "train/nats_per_char",
    "held_out_nats_per_char": "held_out/nats_per_char",
    "characters_per_second": "speed/characters_per_second",
    "epoch": "progress/epoch",
    "characters": "progress/characters",
    "updates_seconds": "seconds/updates",
}


def events(run: Path) -> list:
    """The events of a run, as a reader of TFRecords sees them."""
    found = []
    for path in sorted((run / "observers" / "tensorboard").iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            header, size = data[at : at + 8], struct.unpack_from("<Q", data, at)[0]
            body = data[at + 12 : at + 12 + size]
            sums = struct.unpack_from("<I", data, at + 8) + struct.unpack_from(
                "<I", data, at + 12 + size
            )
            assert sums == (masked_crc32c(header), masked_crc32c(body)), f"{path} at {at}"
            found.append(Event.FromString(body))
            at += 16 + size
    return found


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The figures of a run by tag, each with its step, in the order in which they are read."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(run):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def texts(run: Path, tag: str) -> list[tuple[int, str]]:
    return [
        (event.step, value.tensor.string_val[0].decode())
        for event in events(run)
        for value in event.summary.value
        if value.tag == f"{tag}/text_summary"
    ]


def objects(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def assert_as_logged(run: Path, found: dict[str, list[tuple[int, float]]]) -> None:
    """The figures are those of metrics.jsonl: each row once, at its step, and no others."""
    rows = objects(run / "metrics.jsonl")
    assert len(rows) > 3
    for column, tag in COLUMNS.items():
        logged = [(row["step"], row[column]) for row in rows if column in row]
        assert [step for step, _ in found[tag]] == [step for step, _ in logged], tag
        np.testing.assert_array_equal(
            np.float32([value for _, value in found[tag]]),
            np.float32([value for _, value in logged]),
        )


def assert_samples_as_logged(run: Path) -> None:
    logged = [(row["step"], row["prompt"] + row["text"]) for row in objects(run / "samples.jsonl")]
    shown = [
        (step, "\n".join(line[4:] for line in text.split("\n")))
        for step, text in texts(run, "sample")
    ]
    assert shown == logged
