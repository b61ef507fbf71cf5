"""What others read: every exported format through its own reader, and model cards."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from charrnn_export.agreement import checked
from charrnn_export.program import readable_until
from charrnn_export.step import Step
from charrnn_export.target import TARGETS
from charrnn_export.variant import Variant
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core import RunConfig, train
from charrnn_core.api import load
from charrnn_core.errors import CharRNNError, CheckpointError, ExportError
from charrnn_core.files.checkpoint import Checkpoint, save_checkpoint
from charrnn_core.files.tensors import load_tensors, tensors_bytes
from charrnn_core.runs.model import learnt_params
from charrnn_core.runs.opening import open_model
from charrnn_core.training.starting_point import StartingPoint
from tests import awkward_cells
from tests.conftest import PLAIN
from tests.fuzz.targets import only_ours
from tests.resuming import quiet

TEXT = "the cat sat on the mat.\nthe dog sat on the log.\n" * 60
CELLS = (
    "elman", "lstm", "gru", "mgu", "rhn", "mogrifier", "mlstm", "slstm", "indrnn", "mingru",
    "minlstm", "rglru", "stacked:gru:48,elman:32", "flax:LSTMCell", "flax:GRUCell",
    "flax:SimpleCell", "flax:nnx.LSTMCell", "flax:nnx.GRUCell",
)  # fmt: skip
HAS_ONNX = all(map(importlib.util.find_spec, ("jax2onnx", "onnx", "onnxruntime")))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of the default kind: with a context, owners of its rows, and counts."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "text.txt").write_text(TEXT)
    config = RunConfig(
        source=str(folder / "text.txt"), cell="elman:12", batch=4, window=8, characters=5400,
        embedding=8, context=3, counts=2, observers=(), shards=1,
    )  # fmt: skip
    train(config, out=folder / "cats", note=quiet)
    return folder / "cats"


@pytest.fixture(scope="module")
def file(run, tmp_path_factory) -> Path:
    """The run as safetensors."""
    from tests.commands import in_process

    folder = tmp_path_factory.mktemp("weights")
    result = in_process(("export", run, "--to", "safetensors"), folder, {}, None)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].startswith("counts    included")
    return folder / "cats.safetensors"


def assert_same(one: Any, other: Any) -> None:
    """Bit by bit."""
    leaves, structure = jax.tree.flatten(one)
    others, same = jax.tree.flatten(other)
    assert structure == same
    for a, b in zip(map(np.asarray, leaves), map(np.asarray, others), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_weights_are_read_back_bit_by_bit(run, file):
    model, same = load(run), load(file)
    assert "counts" in model.params and model.network.context.owners
    assert_same(model.params, same.params)
    assert same.config.cell == model.config.cell and same.alphabet == model.alphabet
    for part in ("symbols", "embedding", "context", "counts", "separator"):
        assert getattr(same.network, part) == getattr(model.network, part)


def test_any_program_reads_the_weights(run, file):
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(file, "numpy") as opened:
        kernel = opened.get_tensor("params/readout/kernel")
        manifest = json.loads(opened.metadata()["manifest"])
    assert np.array_equal(kernel, load(run).params["readout"]["kernel"])
    assert manifest["config"]["cell"]["use"] == "elman" and "loop" not in manifest
    assert str(run.parent) not in json.dumps(manifest)


def test_commands_take_the_weights_for_a_run(charrnn, run, file):
    arguments = ("--length", 60, "--seed", 5, "--prompt", "the ")
    written = [charrnn("sample", path, *arguments) for path in (run, file)]
    assert written[0].returncode == 0 and written[0].stdout == written[1].stdout
    shown = charrnn("info", file).stdout
    result = json.loads((run / "evaluation.json").read_text())
    assert f"held-out    {result['nats_per_char']:.4f} nats" in shown
    assert "status      exported by charrnn " in shown
    refused = charrnn("resume", file)
    assert refused.returncode == 1 and "run --init-from" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_the_network_alone_is_another_model(charrnn, run, tmp_path):
    assert not charrnn("export", run, "--to", "safetensors", "--no-counts").returncode
    alone = load(tmp_path / "cats.safetensors")
    assert "counts" not in alone.params and not alone.network.counts.order
    found = charrnn("eval", run, "--json").stdout
    nats = alone.table["evaluation"]["nats_per_char"]
    assert nats == pytest.approx(json.loads(found)["alone"]["nats_per_char"])


def test_another_training_finds_its_parameters(run, file):
    origins = [StartingPoint.read(str(path), quiet) for path in (run, file)]
    template = load(run).network.shapes
    assert_same(*(learnt_params(origin.checkpoint, template) for origin in origins))
    assert origins[0].of_text == origins[1].of_text


@pytest.mark.slow
def test_a_training_starts_from_the_weights(charrnn, run, file):
    started = charrnn(
        *("run", "--init-from", file, "--source", run.parent / "text.txt", "--cell", "elman:12"),
        *("--chars", 500, "--batch", 4, "--window", 8, "--quiet", "--out", "next"),
    )
    assert started.returncode == 0, started.stderr


def tampered(file: Path, **changes: Any) -> bytes:
    """The bytes of a file whose metadata are changed; None takes one away."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {
        name: value
        for name, value in {**header["__metadata__"], **changes}.items()
        if value is not None
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda file: file.read_bytes()[:-1], "is damaged, or not in the format"),
        (lambda file: file.read_bytes()[:5], "is damaged, or not in the format"),
        (lambda file: b"", "is damaged, or not in the format"),
        (lambda file: b"\x80\x04cposix\nsystem\n" * 9, "is damaged, or not in the format"),
        (lambda file: b"\xff" * 64, "is damaged, or not in the format"),
        (lambda file: file.read_bytes()[:-3] + b"abc", "do not match their SHA-256"),
        (lambda file: tampered(file, sha256=None), "do not match their SHA-256"),
        (lambda file: tampered(file, manifest=None), "metadata lacks 'manifest'"),
        (lambda file: tampered(file, charrnn="2"), "has format '2'; this charrnn reads 1: upgrade"),
        (lambda file: tampered(file, manifest="["), "its manifest is not valid"),
        (lambda file: tampered(file, manifest="[" * 99999), "its manifest is not valid"),
        (lambda file: tampered(file, manifest="[]"), "manifest is not valid: it is not a table"),
        (lambda file: tampered(file, manifest="{}"), "is not a usable checkpoint of a run"),
    ],
)  # fmt: skip
def test_a_file_that_is_damaged_or_foreign_is_one_line(file, tmp_path, damage, said):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(damage(file))
    with pytest.raises(CheckpointError, match=said) as caught:
        load(bad)
    assert str(caught.value).startswith(str(bad)) and "\n" not in str(caught.value)


def test_a_manifest_of_a_stranger_is_checked(file, tmp_path):
    manifest = {**load_tensors(file).table, "evaluation": {"step": 1, "model": "x"}}
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(tampered(file, manifest=json.dumps(manifest)))
    with pytest.raises(CheckpointError, match="is not a usable checkpoint of a run: evaluation"):
        load(bad)


_headers = st.dictionaries(
    st.sampled_from(["__metadata__", "a", "\x1b[2J"]),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["U8", "F32", "F4", "F8_E5M2", "\x1b", 3]),
            "shape": st.lists(st.sampled_from([0, 1, 2, -1, 2**63, 2**80, True]), max_size=3),
            "data_offsets": st.lists(st.sampled_from([0, 1, 4, 8, -1, 2**64]), max_size=3),
        }
    )
    | st.dictionaries(st.sampled_from(["charrnn", "manifest", "sha256"]), st.text(max_size=3)),
)


@given(header=_headers, rest=st.binary(max_size=9), length=st.sampled_from([0, 0, 0, 1, -1, 2**60]))
def test_headers_of_strangers(header, rest, length, tmp_path_factory):
    text = json.dumps(header).encode()
    path = tmp_path_factory.getbasetemp() / "strange.safetensors"
    path.write_bytes((len(text) + length).to_bytes(8, "little") + text + rest)
    with only_ours(CheckpointError):
        load_tensors(path)


def test_a_header_that_takes_much_memory_is_not_read(tmp_path):
    text = b'{"a":[' + b"{}," * 400_000 + b"{}]}"
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError, match="its header does not fit a file of 12000"):
        load_tensors(tmp_path / "a.safetensors")


def test_numbers_of_every_type_are_kept(tmp_path):
    jax.numpy.bfloat16  # noqa: B018  # registers the name with NumPy
    arrays = {
        kind: np.arange(6).reshape(2, 3).astype(kind)
        for kind in ("bool", "int8", "uint32", "float16", "bfloat16", "float64", "complex64")
    }
    arrays |= {"one": np.array(3.5), "none": np.zeros((0, 4), np.int64)}
    (tmp_path / "all.safetensors").write_bytes(tensors_bytes(Checkpoint({"a": 1}, arrays)))
    read = load_tensors(tmp_path / "all.safetensors")
    assert_same(dict(read.arrays), arrays)
    assert read.table == {"a": 1}
    with pytest.raises(CheckpointError, match="dtype is complex128; expected one of"):
        tensors_bytes(Checkpoint({}, {"x": np.zeros(1, np.complex128)}))


READER = """
import json, sys, zipfile
import jax
import numpy as np

with zipfile.ZipFile(sys.argv[1]) as file:
    step = jax.jit(jax.export.deserialize(bytearray(file.read("step.jax"))).call)
    about = json.loads(file.read("about.json"))
carry = [np.broadcast_to(np.array(c["start"], c["dtype"]), c["shape"]) for c in about["carry"]]
found = []
for symbol in sys.argv[2]:
    ids = np.array([about["alphabet"]["symbols"].index(symbol)], np.int32)
    log_p, *carry = step(ids, *carry)
    found.append(log_p[0].tolist())
assert not [name for name in sys.modules if name.startswith("charrnn")]
print(json.dumps([about, found]))
"""


def predicted(run: Path, text: str) -> Any:
    """The log-probabilities after each character of a text."""
    model = load(run)
    params = jax.tree.map(jnp.asarray, model.params)
    step, carry = jax.jit(model.network.step), model.network.initial_carry(params, 1)
    found = []
    for symbol in model.alphabet.encode(text):
        logits, carry = step(params, carry, symbol[None])
        found.append(jax.nn.log_softmax(logits[0]))
    return np.array(found)


def test_jax_runs_the_program_without_charrnn(charrnn, run, tmp_path):
    pytest.importorskip("flatbuffers")
    result = charrnn("export", run, "--to", "stablehlo")
    assert result.returncode == 0, result.stderr
    readable = next(line for line in result.stdout.splitlines() if line.startswith("readable"))
    text = "the cat sat on the log.\n" * 4
    done = subprocess.run(
        [sys.executable, "-c", READER, tmp_path / "cats.stablehlo.zip", text],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    about, found = json.loads(done.stdout)
    assert np.abs(np.array(found) - predicted(run, text)).max() < 1e-5
    assert about["readable_until"] in readable and about["text"] == "text.txt"


@pytest.mark.parametrize(
    "jaxlib, until",
    [
        ("0.10.2", date(2026, 12, 15)),
        ("0.10.9", date(2026, 12, 15)),
        ("0.9.0", date(2026, 12, 15)),
        ("0.12.0.1", date(2027, 4, 15)),
        ("0.13.0.dev20270101", date(2027, 4, 15)),
    ],
)
def test_the_day_up_to_which_it_is_readable_is_never_too_late(jaxlib, until):
    assert readable_until(jaxlib) == until


@pytest.mark.parametrize("name, package, extra", [
    ("safetensors", "safetensors", "safetensors"),
    ("stablehlo", "flatbuffers", "stablehlo"),
    ("onnx", "jax2onnx", "onnx"),
])  # fmt: skip
def test_what_is_missing_is_named_with_its_extra(run, monkeypatch, name, package, extra):
    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda other: None if other == package else find(other)
    )
    said = rf"{package} is missing.*pip install 'charrnn\[{extra}\]'"
    with pytest.raises(CharRNNError, match=said):
        TARGETS[name].make(Variant.of(load(run), counts=None))


def test_what_does_not_apply_is_refused(charrnn, run, file, tmp_path):
    for name in ("safetensors", "onnx", "stablehlo"):
        result = charrnn("export", run, "--to", name, "--float16")
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert f"--float16 cannot be had with --to {name}" in result.stderr
    shutil.copy(file, tmp_path)
    result = charrnn("export", file.name, "--to", "safetensors")
    assert result.returncode == 2 and "is what is exported; give another" in result.stderr
    assert load(tmp_path / file.name).parameters


def test_a_step_that_predicts_something_else_is_refused(run):
    variant = Variant.of(load(run), counts=False)
    step = Step(variant.split)
    right = jax.jit(step)

    def off(by: float) -> Callable[..., Any]:
        def call(*arrays: Any) -> Any:
            log_p, *carry = right(*arrays)
            return [np.asarray(log_p) + np.float32(by), *carry]

        return call

    for by in (1e-3, np.nan):
        with pytest.raises(ExportError, match="predicts something else"):
            checked(variant, step, off(by))


def front_matter(card: str) -> Any:
    _, metadata, _ = card.split("---\n", 2)
    return yaml.safe_load(metadata)


def test_a_card_has_the_figures_of_the_run(charrnn_process, run, file, tmp_path):
    done = charrnn_process(
        "card", run, "--out", "README.md", "--language", "en", "--license", "mit"
    )
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "README.md").read_text()
    data, result = front_matter(card), json.loads((run / "evaluation.json").read_text())
    assert (data["language"], data["license"], data["library_name"]) == (["en"], "mit", "charrnn")
    [found] = data["model-index"][0]["results"]
    assert found["dataset"] == {"type": "text", "name": "text.txt", "split": result["part"]}
    assert [metric["value"] for metric in found["metrics"]] == [
        round(result["bits_per_char"], 4), round(result["nats_per_char"], 4),
    ]  # fmt: skip
    for row in result["baselines"]:
        assert f"| {row['name']} | {row['bits_per_char']:.4f} |" in card
    assert "text.txt" in card and str(run.parent) not in card


def test_a_card_invents_nothing(charrnn, run, file, tmp_path):
    of_file = charrnn("card", file).stdout
    data = front_matter(of_file)
    assert data.keys().isdisjoint({"license", "language"})
    assert data["model-index"] == front_matter(charrnn("card", run).stdout)["model-index"]
    checkpoint = open_model(run, quiet).checkpoint
    table = {**checkpoint.table, "held_out_nats_per_char": None}
    save_checkpoint(tmp_path / "a.crn", table, checkpoint.arrays)
    unmeasured = charrnn("card", "a.crn").stdout
    assert "model-index" not in front_matter(unmeasured)
    assert "have no held-out result" in unmeasured


def test_a_name_is_nothing_but_a_name(charrnn, run):
    name = "<script>`x`|é\U0001f600: [1"
    card = charrnn("card", run, "--name", f"{name}\n---\n").stdout
    assert front_matter(card)["model-index"][0]["name"] == f"{name} ---"
    assert "# \\<script\\>\\`x\\`\\|é\U0001f600: \\[1 ---\n" in card
    outside_of_code = re.sub(r"```.*?```|`[^`]*`", "", card.split("---\n", 2)[2], flags=re.DOTALL)
    assert "<script>" not in outside_of_code


def trained(cell: str, folder: Path, **settings: Any) -> Path:
    """A run on Python's documentation: what is known by heart has log-probabilities of -100."""
    spec = cell if ":" in cell and "flax" not in cell else f"{cell}:48"
    config = RunConfig(
        cell=spec, source="python-docs", characters=60_000, observers=(), shards=1, **settings
    )
    train(config, out=folder / "run", note=quiet)
    return folder / "run"


def of_onnx(data: bytes) -> tuple[Any, Callable[[int], Any]]:
    """What a graph says of itself, and a function that reads one id after the other."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(data, options)
    about = json.loads(session.get_modelmeta().custom_metadata_map["charrnn"])
    carry = {
        leaf["name"]: np.broadcast_to(np.array(leaf["start"], leaf["dtype"]), leaf["shape"])
        for leaf in about["carry"]
    }

    def read(symbol: int) -> Any:
        log_p, *after = session.run(None, {"id": np.array([symbol], np.int32), **carry})
        carry.update(zip(carry, after, strict=True))
        return log_p[0]

    return about, read


@needs_onnx
@pytest.mark.slow
def test_onnx_runtime_runs_the_graph(charrnn_process, run, tmp_path):
    result = charrnn_process("export", run, "--to", "onnx")
    assert result.returncode == 0, result.stderr
    assert "log-probabilities differ by at most" in result.stdout
    about, read = of_onnx((tmp_path / "cats.onnx").read_bytes())
    text = "the cat sat on the log.\n" * 8
    found = [read(about["alphabet"]["symbols"].index(symbol)) for symbol in text]
    assert np.abs(np.array(found) - predicted(run, text)).max() < 1e-5


PLUGIN = """
from charrnn_core import CellPlugin, hookimpl


@hookimpl
def charrnn_cells():
    yield CellPlugin(name="ring", target=Remembering, summary="a cell that ONNX cannot have")
"""


@needs_onnx
@pytest.mark.slow
def test_an_operation_that_onnx_lacks_is_named(charrnn_process, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "ring.py").write_text(Path(awkward_cells.__file__).read_text() + PLUGIN)
    plugin = ("--plugin", "ring.py")
    done = charrnn_process(
        *("run", "--source", "text.txt", "--cell", "ring", "--chars", "500", "--batch", 2),
        *("--context", 0, "--counts", 0, "--out", "run", "--quiet", *plugin),
    )
    assert done.returncode == 0, done.stderr
    result = charrnn_process("export", "run", "--to", "onnx", *plugin)
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1 and "ring.py:" in last and "scatter" in last
    assert not (tmp_path / "run.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [PLAIN, {"context": 3, "counts": 2}], ids=["plain", "mixed"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_in_every_format(cell, settings, tmp_path):
    run = trained(cell, tmp_path, **settings)
    model = load(run)
    variant = Variant.of(model, counts=True)
    text = "The statement returns the value of the last expression, or None. " * 4
    wanted = predicted(run, text)

    (tmp_path / "a.safetensors").write_bytes(TARGETS["safetensors"].make(variant).data)
    assert_same(load(tmp_path / "a.safetensors").params, model.params)

    (tmp_path / "a.zip").write_bytes(TARGETS["stablehlo"].make(variant).data)
    done = subprocess.run(
        [sys.executable, "-c", READER, tmp_path / "a.zip", text],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    off = np.abs(np.array(json.loads(done.stdout)[1]) - wanted).max()
    print(f"{cell}: stablehlo off by {off:.1e}")
    assert off < 1e-5
    if HAS_ONNX:
        _, read = of_onnx(TARGETS["onnx"].make(variant).data)
        off = np.abs(np.array([read(i) for i in model.alphabet.encode(text)]) - wanted).max()
        print(f"{cell}: onnx off by {off:.1e}")
        assert off < 1e-5
        assert "jax2onnx" not in sys.modules  # it would have changed jax.numpy here
