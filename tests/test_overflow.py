"""What becomes of a carry, or an optimizer's state, that overflows while the loss is finite."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from charrnn_core import (
    CellPlugin,
    NoOptions,
    OptimizerPlugin,
    RunConfig,
    hookimpl,
    resume,
    train,
)
from charrnn_core.errors import TrainingError
from charrnn_core.evaluation.dynamic import RATES, Dynamic
from charrnn_core.files.checkpoint import save_checkpoint
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.opening import open_checkpoint
from charrnn_core.text.alphabet import Alphabet
from tests.resuming import quiet

BATCH, WINDOW = 4, 8


class Fuse:
    """Reads characters; a carry beside its state overflows at one text of two characters."""

    def __init__(self, pair):
        self.pair = pair

    def init(self, key, in_features):
        return {"W": 0.1 * jax.random.normal(key, (in_features, 5))}

    def initial_carry(self, params, input_shape):
        rows = input_shape[0]
        # The last is infinite from the beginning, which is no fault.
        return jnp.zeros((rows, 1)), jnp.zeros((rows, 1)), jnp.full((rows, 1), -jnp.inf)

    def step(self, params, carry, x):
        last, charge, never = carry
        is_second = x[:, self.pair[1], None] > 0.5
        now = (x[:, self.pair[0], None] > 0.5).astype(x.dtype)
        blown = jnp.where(is_second & (last > 0.5), jnp.inf, 0.0)
        y = jnp.tanh(x @ params["W"]) + charge * 0  # NaN from the step after the one that blew it
        return (now, charge + blown, never), y


def plugins(pair) -> Registry:
    """The installed ones, that cell, and an optimizer whose state overflows."""

    def make_optimizer(options, total_steps):
        def update(grads, state, params=None):
            count, size = state
            size = jnp.where(count == 4, jnp.inf, size)
            return jax.tree.map(lambda g: -0.1 * g / (1 + 0 * count), grads), (count + 1, size)

        return optax.GradientTransformation(lambda params: (jnp.float32(0), jnp.float32(1)), update)

    module = types.ModuleType("fuse")
    module.charrnn_cells = hookimpl(
        lambda: [CellPlugin(name="fuse", target=lambda: Fuse(pair), options=NoOptions, summary="")]
    )
    module.charrnn_optimizers = hookimpl(
        lambda: [OptimizerPlugin(name="overflowing", target=make_optimizer)]
    )
    registry = Registry.installed()
    registry.add(lambda: module, "fuse")
    return registry


@pytest.fixture(scope="module")
def text(tmp_path_factory, small_text):
    """A text with a pair of characters at the end of one window, in the second stream."""
    body = small_text[:2000]
    train_characters = len(body) * 9 // 10
    place = (train_characters - 1) // BATCH + 6 * WINDOW - 2  # its last two inputs
    path = tmp_path_factory.mktemp("fuse") / "fuse.txt"
    path.write_text(body[:place] + "#@" + body[place + 2 :])
    return path


@pytest.fixture(scope="module")
def registry(text):
    alphabet = Alphabet.of(text.read_text())
    return plugins(tuple(alphabet.encode("#@").tolist()))


def config(text, **changes) -> RunConfig:
    settings = {
        "source": str(text), "cell": Ref("fuse"), "batch": BATCH, "window": WINDOW,
        "characters": 1200, "observers": "jsonl", "sample_length": 5, "shards": 1, "embedding": 0,
        "context": 0, "dropout_output": 0.2,
        **changes,
    }  # fmt: skip
    return RunConfig(**settings)


def incidents(run):
    return [json.loads(line) for line in (run / "incidents.jsonl").read_text().splitlines()]


def carry_of(run):
    return [a for name, a in open_checkpoint(run, quiet)[1].arrays.items() if "carry/" in name]


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_stream_whose_carry_overflows_starts_afresh(text, registry, tmp_path, policy):
    bits = []
    for per_call in (1, 64):
        run = tmp_path / str(per_call)
        result = train(config(text, non_finite=policy), out=run, registry=registry, note=quiet,
                       updates_per_call=per_call)  # fmt: skip
        assert result.reason == "finished"
        [incident] = incidents(run)
        assert incident["action"] == "restart" and incident["streams"] == [1]
        assert incident["step"] == 6 and np.isfinite(incident["nats_per_char"])
        assert any("streams were restarted" in line for line in result.lines())
        assert not any(np.isnan(leaf).any() for leaf in carry_of(run))
        rows = (run / "metrics.jsonl").read_text().splitlines()
        assert json.loads(rows[-1])["characters"] >= 1200  # no update was left out
        bits.append([leaf.tobytes() for leaf in open_checkpoint(run, quiet)[1].arrays.values()])
    assert bits[0] == bits[1]


def test_stop_ends_there_and_says_what(text, registry, tmp_path):
    with pytest.raises(TrainingError, match="carry of 1 of 4 streams is not finite at update 6"):
        train(config(text), out=tmp_path / "run", registry=registry, note=quiet)
    [incident] = incidents(tmp_path / "run")
    assert incident["action"] == "stop" and incident["gradient_norms"]
    checkpoint = open_checkpoint(tmp_path / "run", quiet)[1]
    assert checkpoint.arrays["step"] == checkpoint.table["step"] == 5


@pytest.mark.slow
def test_a_carry_that_was_saved_so_starts_afresh(text, registry, tmp_path):
    looks = iter([False] * 3)
    changed = config(text, non_finite="rollback")
    train(changed, out=tmp_path / "run", registry=registry, note=quiet, updates_per_call=1,
          stop=lambda: next(looks, True))  # fmt: skip
    path, checkpoint = open_checkpoint(tmp_path / "run", quiet)
    arrays = dict(checkpoint.arrays)
    [name] = [name for name in arrays if name.startswith("carry/") and name.endswith("1")]
    arrays[name] = np.array(arrays[name])
    arrays[name][2] = np.nan
    save_checkpoint(path, checkpoint.table, arrays)
    notes: list[str] = []
    result = resume(tmp_path / "run", registry=registry, note=notes.append)
    assert result.reason == "finished" and len(incidents(tmp_path / "run")) == 1
    assert any("1 of 4 streams were saved with a carry that is not finite" in x for x in notes)


@pytest.mark.parametrize("policy", ["stop", "skip", "rollback"])
def test_an_optimizer_whose_state_overflows_is_noticed(text, registry, tmp_path, policy):
    changed = config(text, non_finite=policy, cell="elman:4", optimizer=Ref("overflowing"))
    with pytest.raises(TrainingError, match="the optimizer's state is not finite at update [0-9]+"):
        train(changed, out=tmp_path / "run", registry=registry, note=quiet)
    for path in (tmp_path / "run" / "checkpoints").glob("*.crn"):
        arrays = open_checkpoint(path, quiet)[1].arrays
        assert all(np.isfinite(a).all() for name, a in arrays.items() if "opt_state" in name)
    steps = [row["step"] for row in incidents(tmp_path / "run")]
    assert steps == {"stop": [5], "skip": [*range(5, 26)], "rollback": [5] * 11}[policy]


def test_a_rate_that_overflows_is_not_chosen(registry, monkeypatch):
    from charrnn_core.cell import as_cell
    from charrnn_core.network.network import Network

    network = Network(registry.build_cell(Ref("elman", "4"), as_cell), symbols=6)
    dynamic = Dynamic(
        network, network.compiled_init(jax.random.key(0)), np.arange(60) % 6, rate=0.01
    )

    def score(pieces, rate):
        yield np.array([np.nan if rate == RATES[0] else 1 / rate], np.float32)

    monkeypatch.setattr(dynamic, "_score", score)
    assert dynamic._best_rate(np.arange(60) % 6) == RATES[-1]
