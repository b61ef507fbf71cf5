"""What a run asks of its network: size, documents, and recipes that do as other systems did."""

import dataclasses

import jax
import numpy as np
import pytest

from charrnn_core import RunConfig, api, train
from charrnn_core.errors import OptionError, UnknownNameError, UnknownSymbolError, UsageError
from charrnn_core.network.pytree import count_parameters
from charrnn_core.network.sizing import size_cell
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.width import widths
from charrnn_core.runs.model import build_network
from charrnn_core.runs.settings import imitations, read_settings, recipe_names
from charrnn_core.text import mapped
from charrnn_core.text.alphabet import Alphabet
from charrnn_core.training.batches import Streams
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.policy import Budget
from charrnn_core.training.setup import prepare

ALPHABET = Alphabet("\n abcdef")


def sized(registry, cell, budget, **more):
    config = RunConfig(cell=cell, parameters=budget, context=0, counts=0, **more).resolve(registry)

    tried = []

    def build(cell):
        tried.append(max(widths(cell)))
        return build_network(dataclasses.replace(config, cell=cell), ALPHABET, registry)

    cell, line = size_cell(config.cell, build, budget)
    assert len(tried) < 25 and max(tried) <= 2 * max(widths(cell))
    network = build(cell)
    config = dataclasses.replace(config, cell=cell, parameters=None)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return config, count_parameters(shapes), line


@pytest.mark.parametrize(
    "cell, budget",
    [("elman", 10_000), ("lstm:7", 100_000), ("stacked:elman:3,lstm:6", 20_000), ("gru", 1000)],
)
def test_a_cell_gets_as_wide_as_its_parameters_allow(registry, cell, budget):
    config, count, line = sized(registry, cell, budget, embedding=5)
    assert count <= budget and count > 0.85 * budget
    assert config.parameters is None and f"{count:,} parameters, of {budget:,}" in line
    if cell.startswith("stacked"):
        first, second = (layer.options["features"] for layer in config.cell.options["layers"])
        assert abs(2 * first - second) <= 2
    again, same, _ = sized(registry, config.cell, count, embedding=5)
    assert same == count and again.cell == config.cell


def test_a_budget_that_cannot_be_kept_is_refused(registry):
    with pytest.raises(OptionError, match="of one unit has"):
        sized(registry, "elman", 3)


def test_numbers_with_a_suffix():
    read = RunConfig.read({"parameters": "1.5M", "characters": "300k"})
    assert (read.parameters, read.characters) == (1_500_000, 300_000)
    assert RunConfig.read({"characters": "2.01k"}).characters == 2010  # 2.01 * 1e3 is less
    for wrong in ("1.0001k", "M", "1.5", "2T"):
        with pytest.raises(OptionError, match="expected int"):
            RunConfig.read({"characters": wrong})


def test_a_system_to_be_like_is_a_recipe():
    registry = Registry.installed()
    assert set(imitations(registry)) < set(recipe_names(registry))
    like = read_settings(None, {"like": "char-rnn"}, {})
    assert like == RunConfig.read({"recipe": "char-rnn"})
    assert (like.batch, like.window, like.split) == (50, 50, "char-rnn-95/5-interleaved")
    with pytest.raises(UnknownNameError, match="did you mean 'char-rnn'"):
        read_settings(None, {"like": "charrnn"}, {})
    with pytest.raises(UsageError, match="give one"):
        read_settings(None, {"like": "char-rnn", "recipe": "notebook"}, {})


def test_a_width_that_is_typed_wins_over_the_size_of_a_recipe():
    def parameters(cell, *options, **more):
        return read_settings(None, {"like": "nanogpt", "cell": cell, **more}, {"cell": options})

    for cell, options in (("gru:64", ()), ("stacked:gru:64*2", ()), (None, ("features=64",))):
        assert parameters(cell, *options).parameters is None
        assert parameters(cell, *options, parameters="1M").parameters == 1_000_000
    for cell in (None, "gru", "stacked:gru*2"):
        assert parameters(cell).parameters == 800_000


@pytest.mark.parametrize("recipe", recipe_names(Registry.installed()))
def test_recipes_can_be_resolved(recipe, registry):
    config = RunConfig.read({"recipe": recipe}).resolve(registry)
    assert RunConfig.read(config.table()).resolve(registry).table() == config.table()


def test_the_learning_rate_of_char_rnn_and_torch_rnn(registry):
    """x 0.97 after every epoch from the tenth; x 0.5 every 5 epochs."""
    from charrnn_optimizers.optimizers import scheduled

    epochs = np.arange(50)
    for name, expected in (
        ("char-rnn", 0.97 ** np.maximum(0, epochs - 9)),
        ("torch-rnn", 0.5 ** (epochs // 5)),
    ):
        config = RunConfig.read({"recipe": name}).resolve(registry)
        rate = scheduled(registry.options("optimizer", config.optimizer), 50 * 100)
        np.testing.assert_allclose(rate(100 * epochs + 50), 2e-3 * expected, rtol=1e-5)


def test_documents_need_a_separator_the_alphabet_has(registry):
    config = RunConfig(cell="elman:3").resolve(registry)
    for documents, ids in ((None, ()), ("lines", (0,)), ("blank", (0, 0)), (" a", (1, 2))):
        changed = dataclasses.replace(config, documents=documents)
        assert build_network(changed, ALPHABET, registry).separator == ids
    with pytest.raises(UnknownSymbolError, match="documents is 'z', .* lacks a character of 'z'"):
        build_network(dataclasses.replace(config, documents="z"), ALPHABET, registry)


@pytest.mark.slow
def test_documents_that_never_end_are_told(registry, tmp_path):
    (tmp_path / "a.txt").write_text("ab ba " * 50 + "\n")
    for documents, told in (("ab", False), ("aa", True), ("lines", True), (None, False)):
        config = RunConfig(
            source=str(tmp_path / "a.txt"), cell="elman:2", documents=documents, batch=2, window=8
        )
        context = TrainingContext(registry=registry, note=lambda line: None)
        notes = prepare(config.resolve(registry), context).notes
        assert any("no document ends in the training text" in note for note in notes) == told


def test_a_separator_is_found_wherever_it_stands(monkeypatch):
    monkeypatch.setattr(mapped, "_SEARCHED_AT_ONCE", 4)
    for length in (3, 8, 9):
        for at in range(length - 1):
            ids = np.zeros(length, np.uint8)
            ids[at : at + 2] = 1, 2
            assert mapped.occurs((1, 2), ids) and not mapped.occurs((2, 1), ids)


def test_epochs_beyond_counting():
    budget = Budget.of(RunConfig(epochs=1e308), Streams(np.zeros(9), 1, 2), 0.0)
    assert budget.steps == 2**31 - 1


def test_a_model_of_lines_knows_nothing_of_the_line_before(tmp_path):
    rng = np.random.default_rng(0)
    lines = [line for i in rng.integers(3, size=900) for line in (f"{'abc'[i]}", f"{'def'[i]}")]
    text = tmp_path / "lines.txt"
    text.write_text("\n".join(lines) + "\n")
    losses = {}
    for documents in (None, "lines"):
        config = RunConfig(
            source=str(text), cell="elman:8", documents=documents, characters=30_000, batch=8,
            window=16, embedding=6, observers=(), optimizer="adam:0.02", sample_every=100,
        )  # fmt: skip
        trained = train(config, out=tmp_path / f"{documents}", note=lambda line: None)
        assert trained.held_out is not None
        losses[documents] = trained.held_out.nats_per_char
    # A line is a letter and a line end; after its partner, which letter it is can be known.
    assert losses[None] < 0.5
    assert losses["lines"] == pytest.approx(np.log(6) / 2, abs=0.03)
    model = api.load(tmp_path / "lines")
    assert set(api.generate(model, length=40, seed=1)[1::2]) == {"\n"}


def test_bad_settings_are_one_line(charrnn, tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("abcd efgh " * 30)
    for given, code, expected in (
        (["--like", "nanogtp"], 2, "did you mean 'nanogpt'"),
        (["--cell", "elman:2M"], 2, "GiB to be trained, and there are"),
        (["--params", "12"], 2, "of one unit has"),
        (["--tied", "--embedding", "0"], 2, "a tied readout needs an embedding"),
        (["--documents", "#"], 2, "'#'"),
        (["--dropout-output", "1"], 2, "expected a value < 1"),
    ):
        ran = charrnn("run", "--source", text, "--out", tmp_path / "o", *given)
        assert (ran.returncode, ran.stderr.count("\n")) == (code, 1), ran.stderr
        assert expected in ran.stderr
