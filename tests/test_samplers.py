"""Every sampler's distribution, and every chain's, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from charrnn_core.errors import SamplingError
from charrnn_core.registry.spec import Ref, parse_refs
from charrnn_core.sampling.chain import Chain, SamplerContext
from charrnn_core.sampling.draw import Drawer, Generator
from charrnn_core.text.alphabet import Alphabet

V = 7


class Given:
    """Stands for a network: every row's logits are a function of its last character alone."""

    def __init__(self, logits):
        self.table = jnp.asarray(logits, jnp.float32)

    def initial_carry(self, params, batch):
        return jnp.zeros(batch, jnp.int32)

    def unroll(self, params, carry, inputs, reset):
        return self.table[inputs], inputs[-1]

    def stepper(self, params, carry, batch):
        return lambda carry, ids: (self.table[ids], ids)


def chain(registry, spec):
    refs = parse_refs(spec)
    return Chain([registry.load("sampler", r)(registry.options("sampler", r)) for r in refs])


def draw(network, sampler, length, batch=1, seed=0, prompt=(0,)):
    generate = Generator(network, sampler)
    prompt = np.array(prompt, np.int32)
    return np.concatenate(list(generate({}, prompt, length, jax.random.key(seed), batch)))


# --- the reference: a distribution p: float64[V] to another ---


def softmax(o):
    e = np.exp(o - np.max(o))
    return e / e.sum()


def keep(p, ids):
    q = np.zeros_like(p)
    q[ids] = p[ids]
    return q / q.sum()


def fewest(p, order, mass):
    """The first of `order` until they have this mass together."""
    kept, total = [], 0.0
    for i in order:
        kept.append(i)
        total += p[i]
        if total >= mass:
            break
    return keep(p, kept)


def in_order(values):
    return sorted(range(len(values)), key=lambda i: (values[i], i))


def greedy(o):
    return keep(softmax(o), [in_order(-o)[0]])


def top_k(o, k):
    return keep(softmax(o), in_order(-o)[: int(k)])


def top_p(o, p):
    return softmax(o) if p == 1 else fewest(softmax(o), in_order(-o), p)


def min_p(o, p):
    q = softmax(o)
    return keep(q, [i for i in range(len(o)) if q[i] >= p * q.max()])


def typical(o, p):
    q = softmax(o)
    seen = q[q > 0]
    surprise = np.abs(-np.log(np.maximum(q, 1e-300)) + (seen * np.log(seen)).sum())
    return q if p == 1 else fewest(q, in_order(surprise), p)


def temperature(o, T):
    return softmax(o / T)


REFERENCE = {
    "greedy": greedy,
    "min-p": min_p,
    "temperature": temperature,
    "top-k": top_k,
    "top-p": top_p,
    "typical": typical,
}


def expected(o, spec):
    """The distribution after a chain, in float64, from logits."""
    for ref in parse_refs(spec):
        arguments = [] if ref.argument is None else [float(ref.argument)]
        with np.errstate(divide="ignore"):
            o = np.log(REFERENCE[ref.use](o, *arguments))
    return np.exp(o)


def assert_drawn_from(ids, first, distributions):
    """A chi-square test of ``ids: [T,B]``, each drawn from the distribution of the one before."""
    before = np.concatenate([np.full_like(ids[:1], first), ids[:-1]])
    counts = np.zeros((V, V))
    np.add.at(counts, (before.ravel(), ids.ravel()), 1)
    statistic, degrees = 0.0, 0
    for row, p in zip(counts, distributions, strict=True):
        expectation = p * row.sum()
        possible = expectation > 0
        assert row[~possible].sum() == 0
        if row.sum():
            statistic += ((row - expectation)[possible] ** 2 / expectation[possible]).sum()
            degrees += possible.sum() - 1
    assert degrees == 0 or chi2.sf(statistic, degrees) > 1e-4


SPECS = [
    "temperature:0.5", "greedy", "top-k:1", "top-k:3", "top-k:99", "top-p:0.4", "top-p:0.9",
    "top-p:1", "min-p:0.2", "min-p:0", "min-p:1", "typical:0.3", "typical:0.9", "typical:1",
    "temperature:2,top-p:0.8", "top-p:0.8,temperature:2", "top-k:4,typical:0.6,temperature:0.7",
    "min-p:0.1,top-k:2,temperature:1.5",
]  # fmt: skip


@pytest.mark.parametrize("spec", ["top-k:900", "top-p:0.9", "typical:0.9"])
def test_a_large_alphabet_takes_memory_in_proportion(registry, spec):
    """In numbers for each symbol of each row; all pairs of symbols would be 3,000."""
    sampler, shape = chain(registry, spec), jax.ShapeDtypeStruct((4, 3000), jnp.float32)
    state = sampler.init(4)
    compiled = jax.jit(lambda o: sampler(jax.random.key(0), o, state)[0]).lower(shape).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 12 * 4 * 3000 * 4


@pytest.mark.parametrize("spec", SPECS)
def test_the_distribution_is_the_reference(registry, spec):
    logits = np.random.default_rng(1).normal(size=(5, V)) * 1.5
    sampler = chain(registry, spec)
    shaped, _ = sampler(jax.random.key(0), jnp.asarray(logits, jnp.float32), sampler.init(5))
    reference = [expected(o, spec) for o in logits]
    np.testing.assert_allclose(jax.nn.softmax(shaped), reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "spec", ["temperature:1.5", "top-k:3", "top-p:0.8", "min-p:0.1", "typical:0.7",
             "top-k:5,typical:0.8,temperature:0.7", "greedy"],
)  # fmt: skip
def test_what_is_drawn_follows_it(registry, spec):
    """140,000 draws from the V distributions."""
    logits = np.random.default_rng(2).normal(size=(V, V))
    ids = draw(Given(logits), chain(registry, spec), 2000, batch=10 * V, prompt=[3])
    assert_drawn_from(ids, 3, [expected(o, spec) for o in logits])


def test_what_no_copy_allows_is_drawn_from(registry):
    """The others choose among it, though they stand before it."""
    rng, others = np.random.default_rng(9), "top-k:3,temperature:0.7"
    text, logits = rng.integers(V, size=12), rng.normal(size=(V, V))
    context = SamplerContext(Alphabet("abcdefg"), lambda: text)
    sampler = chain(registry, f"{others},no-copy:1").bind(context)
    ids = draw(Given(logits), sampler, 2000, batch=5, prompt=[3])
    allowed = logits.copy()
    allowed[text[:-1], text[1:]] = -np.inf
    assert_drawn_from(ids, 3, [expected(o, others) for o in allowed])


SHORT = st.floats(-20, 20, width=32, allow_subnormal=False)  # XLA takes those for 0


@pytest.fixture(scope="module")
def shaped_by(registry):
    """A compiled function for a spec: ``logits: [V] -> logits``."""
    compiled = {}

    def shaped(spec, logits):
        if spec not in compiled:
            sampler = chain(registry, spec)
            compiled[spec] = jax.jit(lambda o: sampler(jax.random.key(0), o, sampler.init(1))[0])
        return np.asarray(compiled[spec](jnp.asarray([logits], jnp.float32))[0])

    return shaped


@pytest.mark.parametrize("spec", ["top-k:3", "top-p:0.7", "min-p:0.3", "typical:0.6", "greedy"])
@settings(max_examples=40)
@given(data=st.data())
def test_truncation_keeps_something_and_the_proportions(shaped_by, spec, data):
    """Also with ties, and with symbols that are already impossible."""
    values = st.one_of(SHORT, st.sampled_from([0.0, 1.0]), st.just(-np.inf))
    logits = np.array(data.draw(st.lists(values, min_size=V, max_size=V)), np.float32)
    if np.isneginf(logits).all():
        logits[data.draw(st.integers(0, V - 1))] = 0
    shaped = shaped_by(spec, logits)
    kept = np.isfinite(shaped)
    assert kept.any()
    assert (shaped[kept] == logits[kept]).all()
    if not spec.startswith("typical"):
        left_out = logits[~kept]
        assert not len(left_out) or logits[kept].min() >= left_out.max()
    if spec == "top-k:3":
        assert kept.sum() == min(3, np.isfinite(logits).sum())
    if spec == "greedy":
        assert kept.sum() == 1 and kept[np.argmax(logits)]
    if spec == "min-p:0.3":
        assert len(set(logits[kept]) & set(logits[~kept])) == 0
    again = shaped_by(spec, shaped)
    if spec in ("top-k:3", "min-p:0.3", "greedy"):
        assert again.tolist() == shaped.tolist()


def test_repetition_is_ctrl_s_penalty_over_the_last_characters(registry):
    """Drawn greedily, so that the text is the one a direct computation writes."""
    rng = np.random.default_rng(8)
    logits, penalty, last, prompt = rng.normal(size=(V, V)), 2.7, 3, [2, 5, 1, 0]
    ref = Ref("repetition", "2.7", {"last": 3})
    sampler = registry.load("sampler", ref)(registry.options("sampler", ref))
    sampler = Chain([sampler, *chain(registry, "greedy").samplers])
    ids = draw(Given(logits), sampler, 60, batch=2, prompt=prompt)
    text = list(prompt)
    for _ in range(60):
        o = logits[text[-1]].copy()
        for i in set(text[-last:]):
            o[i] = o[i] / penalty if o[i] > 0 else o[i] * penalty
        text.append(int(np.argmax(o)))
    assert ids[:, 0].tolist() == ids[:, 1].tolist() == text[len(prompt) :]
    plain = draw(Given(logits), chain(registry, "greedy"), 60, prompt=prompt)
    assert plain[:, 0].tolist() != ids[:, 0].tolist() and len(np.unique(ids)) > 3


@pytest.mark.parametrize("others", ["temperature:1", "top-p:0.8,temperature:1.5"])
def test_a_penalised_distribution_is_drawn_from(registry, others):
    logits = np.random.default_rng(4).normal(size=(1, V)).repeat(V, axis=0)
    ref = Ref("repetition", "2.5", {"last": 1})
    sampler = registry.load("sampler", ref)(registry.options("sampler", ref))
    sampler = Chain([sampler, *chain(registry, others).samplers])
    ids = draw(Given(logits), sampler, 3000, batch=4)
    penalised = logits.copy()
    for symbol, o in enumerate(penalised):
        o[symbol] = o[symbol] / 2.5 if o[symbol] > 0 else o[symbol] * 2.5
    assert_drawn_from(ids, 0, [expected(o, others) for o in penalised])


def test_rows_remember_on_their_own(registry):
    """What row r writes does not depend on how many rows there are, nor on the piece size."""
    logits = np.random.default_rng(5).normal(size=(V, V))
    sampler = chain(registry, "repetition:3,temperature:0.8")
    many = draw(Given(logits), sampler, 100, batch=3)
    one = draw(Given(logits), sampler, 100, batch=1)
    assert one[:, 0].tolist() == many[:, 0].tolist() != many[:, 1].tolist()


def test_scores_are_the_log_probabilities_of_both_distributions(registry):
    logits = np.random.default_rng(6).normal(size=(V, V))
    drawer = Drawer(Given(logits), chain(registry, "top-k:4,temperature:0.5"), scored=True)
    [drawn] = drawer({}, np.array([1], np.int32), 50, jax.random.key(0), 3)
    assert drawn.model is not None and drawn.sampler is not None
    before = np.concatenate([np.full((1, 3), 1), drawn.ids[:-1]])
    for at in np.ndindex(50, 3):
        o, i = logits[before[at]], drawn.ids[at]
        np.testing.assert_allclose(drawn.model[at], np.log(softmax(o)[i]), rtol=1e-5)
        own = np.log(expected(o, "top-k:4,temperature:0.5")[i])
        np.testing.assert_allclose(drawn.sampler[at], own, rtol=1e-5, atol=1e-6)


def test_nothing_left_to_draw_is_an_error_after_what_was_drawn(registry):
    class AfterThree:
        """Forbids everything from the fourth character on in the second row."""

        def init(self, batch):
            return jnp.zeros(batch, jnp.int32)

        def observe(self, state, ids):
            return state + 1

        def __call__(self, key, logits, state):
            none = (state > 3)[:, None] & (jnp.arange(len(state)) == 1)[:, None]
            return jnp.where(none, -jnp.inf, logits), state

    drawer = Drawer(Given(np.zeros((V, V))), Chain([AfterThree()]))
    pieces = drawer({}, np.array([0], np.int32), 50, jax.random.key(0), 2)
    assert next(pieces).ids.shape == (3, 2)
    with pytest.raises(SamplingError, match="symbol 4 of sample 2: the sampler forbids every"):
        next(pieces)


def test_a_model_that_gives_no_numbers_is_an_error(registry):
    drawer = Drawer(Given(np.full((V, V), np.nan)), chain(registry, "temperature:1"))
    with pytest.raises(SamplingError, match="not finite"):
        list(drawer({}, np.array([0], np.int32), 5, jax.random.key(0)))


def test_a_sampler_is_bound_to_what_it_asks_for(registry):
    class First:
        def bind(self, context):
            symbols = len(context.alphabet)
            known = jnp.arange(5)[None] < symbols
            return lambda key, logits, state: (jnp.where(known, logits, -jnp.inf), state)

    read = []
    context = SamplerContext(Alphabet("ab"), lambda: read.append(1))
    bound = Chain([First(), *chain(registry, "temperature:1").samplers]).bind(context)
    logits, _ = bound(jax.random.key(0), jnp.zeros((1, 5)), bound.init(1))
    np.testing.assert_array_equal(np.isfinite(logits), [[True, True, False, False, False]])
    assert not read


@pytest.mark.parametrize(
    "spec, words",
    [("greedy:1", "no argument"), ("top-k:0", ">= 1"), ("top-p:0", "> 0"), ("top-p:1.1", "<= 1"),
     ("typical:0", "> 0"), ("min-p:-1", ">= 0"), ("repetition:0", "> 0"), ("no-copy:0", ">= 1")],
)  # fmt: skip
def test_bounds(registry, spec, words):
    with pytest.raises(Exception, match=words):
        chain(registry, spec)
