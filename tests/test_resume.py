"""A run that goes on ends as one that was never interrupted: every leaf, row and sample."""

import contextlib
import dataclasses
import itertools
import sys

import jax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn_core import RecipePlugin, RunConfig, resume, train
from charrnn_core.files.checkpoint import load_checkpoint, save_checkpoint
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.opening import open_checkpoint
from tests.conftest import ROOT
from tests.resuming import Samples, assert_same, bits, quiet

HOW = {"note": quiet}
pytestmark = pytest.mark.usefixtures("optimized")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A compilation cache, which makes the many small trainings here cheap."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("xla")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture(scope="module")
def everything():
    """The installed plugins and the example's."""
    sys.path.insert(0, str(ROOT / "examples" / "charrnn-irnn"))
    registry = Registry.installed()
    import charrnn_irnn

    registry.add(lambda: charrnn_irnn, "charrnn-irnn")
    yield registry
    sys.path.pop(0)


@pytest.fixture(scope="module")
def config(text_file):
    return RunConfig(
        source=str(text_file), cell="elman:5", batch=4, window=8, embedding=3, characters=1500,
        eval_every=0.07, sample_every=0.11, sample_length=12, observers="jsonl", shards=1,
        eval_characters=300,
    )  # fmt: skip


def stop_after(updates):
    asked = itertools.count()
    return lambda: next(asked) >= updates


def interrupted(config, out, stops, registry=None, observer=None, **how):
    """Train with a stop after each of these numbers of updates, and go on to the end."""
    observers = [] if observer is None else [observer]
    how = {**HOW, "updates_per_call": 1, "registry": registry, "observers": observers, **how}
    reason = train(config, out=out, stop=stop_after(stops[0]), **how).reason
    for stop in stops[1:]:
        if reason == "interrupted":
            reason = resume(out, stop=stop_after(stop), **how).reason
    if reason == "interrupted":
        reason = resume(out, **how).reason
    return reason


def compare(config, tmp_path, stops, registry=None, **how):
    samples, again = Samples(), Samples()
    train(config, out=tmp_path / "a", registry=registry, observers=[samples], **HOW)
    assert interrupted(config, tmp_path / "b", stops, registry, again, **how) == "finished"
    assert_same(tmp_path / "b", bits(tmp_path / "a"))
    assert samples.texts == again.texts and len(samples.texts) > 3


@pytest.mark.parametrize("cell", ["stacked:elman:5*2", "irnn:5", "stacked:irnn:3,elman:4"])
def test_every_cell(cell, config, tmp_path, compiled, everything):
    compare(dataclasses.replace(config, cell=Ref.parse(cell)), tmp_path, [5], everything)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd:0.1", "muon"])
def test_every_optimizer(optimizer, config, tmp_path, compiled):
    changed = dataclasses.replace(config, optimizer=Ref.parse(optimizer))
    compare(changed, tmp_path, [13])


def test_another_sampler(config, tmp_path, compiled, everything):
    chain = (Ref("top-k", "3"), Ref("repetition", "2"), Ref("no-copy", "4"))
    compare(dataclasses.replace(config, sampler=chain), tmp_path, [6], everything)


def test_noise_averages_and_documents(config, tmp_path, compiled):
    """Masks follow from the update's number; the average and a separator's beginning are saved."""
    changed = dataclasses.replace(
        config, cell=Ref.parse("stacked:lstm:5,elman:4"), tied=True, dropout_input=0.1,
        dropout_output=0.2, average=0.9, documents="e ",
    )  # fmt: skip
    changed = dataclasses.replace(
        changed, cell=changed.cell.with_options({"dropout": 0.3, "variational": True})
    )
    compare(changed, tmp_path, [5])
    _, checkpoint = open_checkpoint(tmp_path / "a", quiet)
    assert "average/embedding" in checkpoint.arrays


@pytest.mark.parametrize("recipe", ["default", "notebook"])
def test_every_recipe(recipe, config, tmp_path, compiled):
    values = {
        "recipe": recipe, "source": str(config.source.argument), "cell": "elman:5", "window": 8,
        "observers": "jsonl", "sample_length": 9, "eval_characters": 300,
    }  # fmt: skip
    values |= (
        {"batch": 4, "characters": 1200}
        if recipe == "default"
        else {"stretch": 50, "epochs": 8, "eval_every": 2, "sample_every": 1}
    )
    compare(RunConfig.read(values), tmp_path, [7])


def test_every_setting_of_a_recipe_is_tested():
    """The others differ from these in numbers, and in options that tests here set."""
    [mark] = test_every_recipe.pytestmark
    settings_of = {r.name: r.settings for r in Registry.installed().offered(RecipePlugin)}
    used = {name for recipe in mark.args[1] for name in settings_of[recipe]}
    known = {*used, "dropout_output", "average", "tied", "split", "characters", "parameters"}
    for name, chosen in settings_of.items():
        assert set(chosen) <= known | {"minutes"}, name


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory, compiled):
    out = tmp_path_factory.mktemp("straight") / "run"
    samples = Samples()
    train(config, out=out, observers=[samples], **HOW)
    return bits(out), samples.texts


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(
    stops=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    per_call=st.sampled_from([1, 2, 3, 7]),
    save_every=st.sampled_from([1e-9, 1e-4, 1.0]),
    keep_last=st.integers(1, 3),
)
def test_where_it_stops_and_how_often_it_saves_does_not_matter(
    straight, config, tmp_path_factory, stops, per_call, save_every, keep_last
):
    expected, texts = straight
    out, samples = tmp_path_factory.mktemp("runs") / "run", Samples()
    changed = dataclasses.replace(config, save_every=save_every, keep_last=keep_last)
    interrupted(changed, out, stops, observer=samples, updates_per_call=per_call)
    assert_same(out, expected)
    assert samples.texts == texts


class Killed(Exception):
    """Stands for a process that ends at once."""


def killed_after(updates):
    stop = stop_after(updates)

    def ask():
        if stop():
            raise Killed

    return ask


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(updates=st.integers(1, 46), newest_lost=st.booleans(), again=st.booleans())
def test_a_crash_goes_back_to_a_checkpoint_and_comes_out_the_same(
    straight, config, tmp_path_factory, updates, newest_lost, again
):
    """A process that is killed leaves rows and samples of updates that its checkpoint lacks."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(Killed):
        train(config, out=out, updates_per_call=1, stop=killed_after(updates), **HOW)
    saved = RunDirectory(out).saved()
    if newest_lost and len(saved) > 1:
        saved[-1].write_bytes(saved[-1].read_bytes()[:-1])
    if again and resume(out, stop=stop_after(1), updates_per_call=1, **HOW).reason != "finished":
        with contextlib.suppress(Killed):
            resume(out, stop=killed_after(4), updates_per_call=1, **HOW)
    samples = Samples()
    if open_checkpoint(out, quiet)[1].table["loop"]["status"] != "finished":
        assert resume(out, observers=[samples], **HOW).reason == "finished"
    expected, texts = straight
    assert_same(out, expected)
    assert samples.texts.items() <= texts.items()


def test_a_random_key_in_the_state_is_restored(tmp_path):
    from charrnn_core.network.pytree import from_arrays, to_arrays

    tree = {"key": jax.random.key(7), "keys": jax.random.split(jax.random.key(8, impl="rbg"), 3)}
    save_checkpoint(tmp_path / "a.crn", {}, to_arrays({"state": tree}))
    arrays = load_checkpoint(tmp_path / "a.crn").arrays
    back = from_arrays(arrays, jax.eval_shape(lambda: tree), "state")
    for name, key in tree.items():
        assert back[name].dtype == key.dtype
        assert (jax.random.key_data(back[name]) == jax.random.key_data(key)).all()
