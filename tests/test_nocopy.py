"""The suffix automaton against brute force, and no-copy against a set of all runs of a text."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charrnn_copying import suffixes
from charrnn_copying.suffixes import suffix_automaton
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError, SamplingError
from charrnn_core.registry.spec import parse_refs
from charrnn_core.sampling.chain import Chain, SamplerContext
from charrnn_core.sampling.draw import Generator
from charrnn_core.text.alphabet import Alphabet

TEXTS = st.lists(st.integers(0, 3), max_size=30)


def occurs(run, text):
    return any(text[i : i + len(run)] == run for i in range(len(text) - len(run) + 1))


@given(TEXTS, st.lists(st.integers(-1, 4), max_size=40))
def test_longest_matches_are_the_longest(text, other):
    lengths, ends = suffix_automaton(np.array(text, np.int32)).longest_matches(other)
    for n, (length, end) in enumerate(zip(lengths.tolist(), ends.tolist(), strict=True)):
        match = other[n + 1 - length : n + 1]
        assert text[end - length : end] == match
        assert length == n + 1 or not occurs(other[n - length : n + 1], text)


@given(TEXTS)
def test_the_automaton_is_the_smallest(text):
    """A state for each set of places where some substring ends; no symbol twice in a state."""
    automaton = suffix_automaton(np.array(text, np.uint8))
    places = {}
    for i in range(len(text) + 1):
        for j in range(i, len(text) + 1):
            places.setdefault(tuple(text[i:j]), set()).add(j)
    places[()] = set(range(len(text) + 1))
    assert len(automaton.lengths) == len(set(map(frozenset, places.values())))
    assert len(automaton.symbols) == automaton.first[-1]
    for one, next_one in zip(automaton.first[:-1], automaton.first[1:], strict=True):
        assert (np.diff(automaton.symbols[one:next_one]) > 0).all()


def test_repeated_texts_are_no_worse():
    for text in (np.zeros(3000, np.int32), np.tile(np.arange(7), 400)):
        lengths, _ = suffix_automaton(text).longest_matches(text)
        assert lengths.tolist() == list(range(1, len(text) + 1))


def test_a_text_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(suffixes, "MOST", 10)
    with pytest.raises(CorpusError, match="the text has 11 symbols, .*at most 10"):
        suffix_automaton(np.zeros(11, np.int32))


class Bigrams:
    """Stands for a network: the next character given the last, as often as in a text."""

    def __init__(self, ids, V):
        counts = np.full((V, V), 0.02)
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
        self.table = jnp.asarray(np.log(counts), jnp.float32)

    def initial_carry(self, params, batch):
        return jnp.zeros(batch, jnp.int32)

    def unroll(self, params, carry, inputs, reset):
        return self.table[inputs], inputs[-1]

    def stepper(self, params, carry, batch):
        return lambda carry, ids: (self.table[ids], ids)


@pytest.fixture(scope="module")
def text(small_text):
    alphabet = Alphabet.of(small_text)
    ids = alphabet.encode(small_text)
    return alphabet, ids, Bigrams(ids, len(alphabet))


def write(registry, text, spec, prompt, length, batch):
    alphabet, ids, network = text
    refs = parse_refs(spec)
    chain = Chain([registry.load("sampler", r)(registry.options("sampler", r)) for r in refs])
    generate = Generator(network, chain.bind(SamplerContext(alphabet, lambda: ids)))
    pieces = generate({}, alphabet.encode(prompt), length, jax.random.key(0), batch)
    return [prompt + alphabet.decode(row) for row in np.concatenate(list(pieces)).T]


def runs(text, length):
    return {text[i : i + length] for i in range(len(text) - length + 1)}


@pytest.mark.parametrize(
    "spec", ["no-copy:5", "temperature:0.5,no-copy:4,top-p:0.8", "no-copy:6,temperature:0.3"]
)
def test_nothing_longer_is_copied(registry, text, small_text, spec):
    """100,000 characters, checked with a set of all runs of N + 1 characters."""
    longest = int(spec.partition("no-copy:")[2][0])
    written = write(registry, text, spec, "Ann ", 5000, 20)
    assert sum(map(len, written)) >= 100_000
    forbidden, allowed = runs(small_text, longest + 1), runs(small_text, longest)
    for sample in written:
        assert not runs(sample, longest + 1) & forbidden
        assert runs(sample, longest) & allowed  # it goes as far as it may


def test_without_it_much_is_copied(registry, text, small_text):
    [sample] = write(registry, text, "temperature:0.5", "Ann ", 5000, 1)
    assert len(runs(sample, 6) & runs(small_text, 6)) > 100


def test_a_run_may_begin_in_the_prompt_but_not_go_on(registry, text, small_text):
    prompt = small_text[40:90]
    [sample] = write(registry, text, "no-copy:8", prompt, 200, 1)
    for end in range(len(prompt) + 1, len(sample) + 1):
        assert sample[end - 9 : end] not in small_text


def test_what_is_not_forbidden_keeps_its_probability(registry, text, small_text):
    """At every character the state forbids exactly what would make a run too long."""
    alphabet, ids, _ = text
    [ref] = parse_refs("no-copy:3")
    sampler = registry.load("sampler", ref)(registry.options("sampler", ref))
    bound = sampler.bind(SamplerContext(alphabet, lambda: ids))
    shape, observe = jax.jit(bound), jax.jit(bound.observe)
    rng, state, known, seen = np.random.default_rng(0), bound.init(1), runs(small_text, 4), ""
    while len(seen) < 300:
        o = rng.normal(size=(1, len(alphabet))).astype(np.float32)
        shaped = np.asarray(shape(None, o, state)[0])
        copies = np.array([[seen[-3:] + symbol in known for symbol in alphabet.symbols]])
        assert (np.isneginf(shaped) == copies).all() and (shaped[~copies] == o[~copies]).all()
        # Mostly along the text, sometimes anywhere, also into what is forbidden.
        follows = small_text.find(seen[-2:]) + len(seen[-2:])
        seen += small_text[follows] if rng.random() < 0.8 else str(rng.choice([*alphabet.symbols]))
        state = observe(state, jnp.asarray(alphabet.encode(seen[-1])))


def test_where_every_symbol_would_copy_it_ends(registry):
    ids = np.array([0, 0, 1, 1, 0], np.int32)  # every pair of symbols is in it
    alphabet = Alphabet("ab")
    with pytest.raises(SamplingError, match="symbol 1 of sample 1: the sampler forbids every"):
        write(registry, (alphabet, ids, Bigrams(ids, 2)), "no-copy:1", "a", 10, 1)


def test_runs_made_when_it_was_a_plugin_of_its_own_go_on(registry):
    """A checkpoint remembers all of this, and resuming refuses whatever differs."""
    record = registry.find("sampler", "no-copy").record()
    assert (record["distribution"], record["entry_point"]) == ("charrnn", "nocopy")
    assert (record["api"], record["state_version"]) == (1, 1)
