"""A model compiles each program once and keeps it; padding and company change no text."""

import copy
import dataclasses
import functools
import gc
import pickle
import threading
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core import api
from charrnn_core.cell import as_cell
from charrnn_core.errors import OptionError
from charrnn_core.evaluation.dynamic import Dynamic
from charrnn_core.evaluation.scoring import Scorer
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.model import Model, build_network
from charrnn_core.runs.programs import Programs
from charrnn_core.sampling.chain import Chain
from charrnn_core.sampling.draw import Drawer
from charrnn_core.text.alphabet import ALPHABETS
from charrnn_core.text.split import Piece
from tests.compilations import compilations

SYMBOLS = "\n .abcdé"
PROMPTS = ["", "a", "b.\nad", "é" * 16, "ab c" * 5, "dab.\n\nb" * 40]
"""Of all the lengths that prompts are padded to, and of more than one piece."""


def make_model(registry, cell="elman:7", **settings) -> Model:
    """A model with random parameters: large, but not so that rounding grows from step to step."""
    config = RunConfig(cell=cell, embedding=0, **settings).resolve(registry)
    alphabet = ALPHABETS[config.alphabet].of(SYMBOLS)
    network = build_network(config, alphabet, registry)
    params = jax.tree.map(lambda leaf: 1.5 * leaf, network.compiled_init(jax.random.key(3)))
    return Model(config, alphabet, network, params, registry, {"plugins": []})


@pytest.fixture(scope="module")
def model(registry) -> Model:
    return make_model(registry)


def test_what_was_compiled_once_is_kept(registry):
    model = make_model(registry)
    with compilations() as first:
        text = api.generate(model, "ab", 50)
    assert "jit(read)" in first and "jit(write)" in first
    with compilations() as more:
        assert api.generate(model, "ab", 50) == text
        for length, prompt, seed in [(1, "", 0), (49, "cab", 1), (512, "a" * 16, 2)]:
            assert len(api.generate(model, prompt, length, seed=seed)) == length
        list(api.stream(model, "b", 50))
    assert more == []


@pytest.mark.parametrize(
    "how, programs",
    [
        ({"sampler": "temperature:0.5"}, {"jit(read)", "jit(write)"}),
        ({"prompt": "a" * 17}, {"jit(read)"}),
        ({"length": 513}, {"jit(write)"}),
        ({"prompts": ["a", "b"]}, {"jit(read)", "jit(write)"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_something_else_is_compiled_once(registry, how, programs):
    model = make_model(registry)
    api.generate(model, "a", 50)
    with compilations() as first:
        text = api.generate(model, **{"length": 50, **how})
    assert programs == {name for name in first if name in ("jit(read)", "jit(write)")}
    api.generate(model, "a", 50)
    with compilations() as again:
        assert api.generate(model, **{"length": 50, **how}) == text
    assert again == []


@pytest.mark.slow
def test_a_hundred_calls_leave_nothing_behind(model):
    def call(seed: int) -> None:
        api.generate(model, "ab", 50 - seed % 7, seed=seed)

    for seed in range(5):
        call(seed)
    gc.collect()
    arrays = len(jax.live_arrays())
    tracemalloc.start()
    try:
        for seed in range(100):
            call(seed)
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(jax.live_arrays()) == arrays
    assert left < 200_000  # one array of every call, or one more program, would be more


def test_threads_write_what_they_would_alone(registry, model):
    expected = [api.generate(model, "ab", 40, seed=seed) for seed in range(6)]
    fresh = make_model(registry)
    found: dict[int, str] = {}

    def write(seed: int) -> None:
        found[seed] = api.generate(fresh, "ab", 40, seed=seed)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(6)] == expected


@pytest.mark.parametrize(
    "cell",
    ["elman:7", "gru:5", "lstm:5", "minlstm:6", "rglru:4", "mlstm:4", "slstm:4", "rhn:4",
     "stacked:lstm:4,mingru:5"],
)  # fmt: skip
def test_each_prompt_is_continued_as_it_would_be_alone(registry, cell):
    model = make_model(registry, cell)
    sampler = "repetition:1.5,temperature:0.9"
    together = api.generate(model, prompts=PROMPTS, length=70, sampler=sampler, seed=2)
    alone = [api.generate(model, prompt, 70, sampler=sampler, seed=2) for prompt in PROMPTS]
    assert together == alone and len({*alone}) > 1


@pytest.mark.parametrize("settings", [{"documents": "lines"}, {"documents": "blank"},
                                      {"alphabet": "bytes"}], ids=str)  # fmt: skip
def test_documents_and_bytes_are_continued_alike(registry, settings):
    model = make_model(registry, "gru:5", **settings)
    together = api.generate(model, prompts=PROMPTS, length=40, stop="b.", seed=4)
    assert together == [api.generate(model, p, 40, stop="b.", seed=4) for p in PROMPTS]


def test_what_a_sampler_draws_itself_is_the_same_for_every_prompt(model):
    class Noisy:
        def __call__(self, key, logits, state):
            return logits + jax.random.normal(key, logits.shape), state

    drawer, key = Drawer(model.network, Chain([Noisy()])), jax.random.key(5)
    prompts = [np.array([1, 2], np.int32), np.array([3], np.int32)]
    [both] = drawer(model.params, prompts, 60, key)
    for row, prompt in enumerate(prompts):
        [alone] = drawer(model.params, prompt, 60, key)
        assert alone.ids[:, 0].tolist() == both.ids[:, row].tolist()


def test_samplers_observe_the_prompt_and_no_padding(model):
    symbols = len(SYMBOLS)

    class OnlySeen:
        """Allows the symbols that it has observed."""

        def init(self, batch):
            return jnp.zeros((batch, symbols), bool)

        def observe(self, seen, ids):
            return seen | jax.nn.one_hot(ids, symbols, dtype=bool)

        def __call__(self, key, logits, seen):
            return jnp.where(seen, logits, -jnp.inf), seen

    drawer = Drawer(model.network, Chain([OnlySeen()]))
    prompts = [[2], [5, 3, 5], [1, 4, 6] * 90]
    pieces = drawer(model.params, [np.array(p, np.int32) for p in prompts], 60, jax.random.key(1))
    ids = np.concatenate([piece.ids for piece in pieces])
    for row, prompt in enumerate(prompts):
        assert {*ids[:, row].tolist()} <= {*prompt}
    assert len({*ids[:, 2].tolist()}) > 1


@jax.jit
def gumbel(key, n, row):
    return jax.random.gumbel(jax.random.fold_in(jax.random.fold_in(key, n), row), (6,))


@pytest.fixture(scope="module")
def stepped(registry):
    """Networks with their parameters and their step, compiled once: ``stepped(cell, separator)``"""

    @functools.cache
    def make(cell, separator):
        network = Network(registry.build_cell(Ref.parse(cell), as_cell), 6, separator=separator)
        params = jax.tree.map(lambda leaf: 1.5 * leaf, network.compiled_init(jax.random.key(0)))
        return network, params, jax.jit(network.step)

    return make


@pytest.mark.parametrize(
    "cell", ["elman:7", pytest.param("lstm:5", marks=pytest.mark.slow), "minlstm:6"]
)
@pytest.mark.parametrize("separator", [(), (1, 2, 1)], ids=["one text", "documents"])
@pytest.mark.parametrize("read", [1, 16, 17, 300])
def test_draws_are_those_of_the_network_stepped_by_hand(stepped, cell, separator, read):
    """Gumbel noise of (key, position, row), and every character of the prompt, one at a time."""
    network, params, step = stepped(cell, separator)
    prompt = np.random.default_rng(read).integers(1, 3, size=read).astype(np.int32)
    key, rows, length = jax.random.key(7), 2, 90
    [drawn] = Drawer(network, Chain([]))(params, prompt, length, key, rows)
    draw_key, _ = jax.random.split(key)
    for row in range(rows):
        carry, logits = network.initial_carry(params, 1), jnp.zeros((1, 6))
        for i in prompt:
            logits, carry = step(params, carry, jnp.array([i]))
        for n in range(length):
            noise = gumbel(draw_key, n, row)
            assert np.argmax(np.asarray(logits)[0] + np.asarray(noise)) == drawn.ids[n, row]
            logits, carry = step(params, carry, drawn.ids[n, row : row + 1])


def test_prompts_come_alone(model):
    with pytest.raises(OptionError, match="prompts are given and also the prompt 'a'"):
        api.generate(model, "a", prompts=["b"])
    with pytest.raises(OptionError, match="prompts are given and also n 2"):
        api.write(model, prompts=["b"], n=2)
    with pytest.raises(OptionError, match="prompts is 'ab'; expected a list"):
        api.generate(model, prompts="ab")
    assert api.generate(model, prompts=[]) == []
    assert api.generate(model, prompts=iter(["a", "b"]), length=0) == ["", ""]
    assert api.generate(model, "a", 0) == ""


def test_a_drawer_compiled_ahead_compiles_nothing_more(model):
    shapes = jax.eval_shape(lambda: model.params)
    prompt, key = np.full(300, 2, np.int32), jax.random.key(0)
    for length, batch in [(50, 1), (600, 8)]:
        drawer = Drawer(model.network, Chain([]), scored=True)
        thread = threading.Thread(target=drawer.ahead, args=(shapes, len(prompt), length, batch))
        thread.start()
        thread.join()
        with compilations() as found:
            assert sum(len(d.ids) for d in drawer(model.params, prompt, length, key, batch))
        assert found == []


def test_a_call_waits_for_a_compilation_ahead_of_it(model):
    """Started at once, both together compile no more than one of them alone."""
    shapes, prompt = jax.eval_shape(lambda: model.params), np.array([1], np.int32)
    drawer, key = Drawer(model.network, Chain([])), jax.random.key(0)
    thread = threading.Thread(target=drawer.ahead, args=(shapes, 1, 50))
    with compilations() as found:
        with drawer._read._compiling:  # where a compilation would hold it
            thread.start()
        list(drawer(model.params, prompt, 50, key))
        thread.join()
    assert found.count("jit(read)") <= 2 and found.count("jit(write)") <= 2


def test_texts_of_different_sizes_are_scored_by_one_program(model):
    scorer, rng = Scorer(model.network), np.random.default_rng(0)

    def pieces(*lengths):
        return [Piece(0, rng.integers(len(SYMBOLS), size=n).astype(np.uint8)) for n in lengths]

    scorer.ahead(jax.eval_shape(lambda: model.params), [20_000])
    with compilations() as found:
        for lengths in [(20_000,), (16_384,), (40_001,), (300, 30_000, 5)]:
            nats = np.concatenate([*scorer(model.params, pieces(*lengths))])
            assert len(nats) == sum(lengths)
    assert found == []


def test_evaluating_again_compiles_nothing(model, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("ab .cd\né" * 100, "utf-8")
    model = dataclasses.replace(
        model, table={"plugins": [], "corpus": {"sha256": "", "characters": 9}, "step": 0}
    )
    quietly = {"source": f"file:{text}", "baselines": False, "note": lambda line: None}
    first = api.evaluate(model, **quietly)
    with compilations() as found:
        again = api.evaluate(model, **quietly)
        assert len([*api.score(model, source=f"file:{text}", note=quietly["note"])]) == 800
    assert found == [] and again.nats_per_char == first.nats_per_char


def test_dynamic_evaluation_again_compiles_nothing(model):
    programs, text = Programs(), np.arange(600) % len(SYMBOLS)

    def score() -> list[float]:
        dynamic = Dynamic(model.network, model.params, text, programs=programs)
        return np.concatenate([*dynamic.score([Piece(0, text)])]).tolist()

    first = score()
    with compilations() as found:
        assert score() == first
    assert found == []


def test_the_least_recently_used_makes_way():
    programs = Programs()
    made = [programs.get(i, object) for i in range(16)]
    assert programs.get(0, object) is made[0]
    programs.get(16, object)
    assert programs.get(0, object) is made[0]
    assert programs.get(1, object) is not made[1]


def test_a_copy_keeps_programs_of_its_own(model):
    api.generate(model, "a", 5)
    other = dataclasses.replace(model, params=jax.tree.map(jnp.zeros_like, model.params))
    assert other.programs is not model.programs and other.programs._kept == {}
    for copied in (copy.deepcopy(model.programs), pickle.loads(pickle.dumps(model.programs))):
        assert copied._kept == {} and copied._most == model.programs._most
    assert copy.copy(model) == model and "programs" not in repr(model)
