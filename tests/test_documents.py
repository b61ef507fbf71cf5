"""Where documents begin, against a reader that goes from character to character."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from charrnn_core.network.documents import Documents

B, V = 5, 3
SEPARATORS = [(1,), (1, 2), (1, 1), (1, 2, 1), (0, 0, 0)]


def read_one_by_one(separator, inputs, reset):
    """Where each stream starts afresh, and the last ids of its text."""
    begins = np.zeros(inputs.shape, bool)
    tails = []
    for row in range(inputs.shape[1]):
        text = []
        for t, symbol in enumerate(inputs[:, row]):
            if reset[t, row]:
                text = []
            text.append(int(symbol))
            begins[t, row] = reset[t, row] or tuple(text[-len(separator) :]) == separator
        padded = [-1] * len(separator) + text
        tails.append(padded[len(padded) - len(separator) + 1 :])
    return begins, np.array(tails)


def find_in_windows(documents, windows):
    """What is found in one window after the other, ``(inputs, reset)`` each, and the last tail."""
    find, found = jax.jit(documents.find), []
    _, tail = documents.split(documents.begin(jnp.zeros((B, 1)), B))
    for inputs, reset in windows:
        begins, tail = find(
            tail, jnp.asarray(inputs), None if reset is None else jnp.asarray(reset)
        )
        found.append(begins)
    return np.concatenate(found), tail


@pytest.mark.parametrize("cuts", [[], [1, 2, 3, 9], [20]], ids=str)
@pytest.mark.parametrize("separator", SEPARATORS, ids=str)
def test_it_is_what_a_reader_finds(separator, cuts):
    rng = np.random.default_rng(len(separator))
    inputs = rng.integers(V, size=(40, B)).astype(np.int32)
    reset = rng.random((40, B)) < 0.1
    expected, tail = read_one_by_one(separator, inputs, reset)
    assert (expected & ~reset).any() and reset.any()
    windows = zip(np.split(inputs, cuts), np.split(reset, cuts), strict=True)
    found, remembered = find_in_windows(Documents(separator), windows)
    np.testing.assert_array_equal(found, expected)
    if len(separator) > 1:
        np.testing.assert_array_equal(remembered, tail)
    else:
        assert remembered is None


@pytest.mark.parametrize("separator", SEPARATORS, ids=str)
def test_no_reset_is_a_reset_nowhere(separator):
    inputs = np.random.default_rng(1).integers(V, size=(20, B)).astype(np.int32)
    expected, _ = read_one_by_one(separator, inputs, np.zeros((20, B), bool))
    windows = [(window, None) for window in np.split(inputs, [1, 2, 7])]
    np.testing.assert_array_equal(find_in_windows(Documents(separator), windows)[0], expected)


@pytest.mark.parametrize("separator", [(), (1,)], ids=str)
def test_without_a_tail_the_carry_is_the_cells(separator):
    documents, carry = Documents(separator), (jnp.ones((B, 2)), jnp.zeros((B, 3)))
    assert documents.begin(carry, B) is carry
    assert documents.split(carry) == (carry, None)
    assert documents.join(carry, None) is carry


def test_with_a_tail_it_is_beside_the_cells():
    documents, cell_carry = Documents((1, 2, 3)), jnp.ones((B, 2))
    carry = documents.begin(cell_carry, B)
    same, tail = documents.split(carry)
    assert same is cell_carry and tail.dtype == jnp.int32
    np.testing.assert_array_equal(tail, np.full((B, 2), -1))
    assert documents.join(same, tail) == carry


@pytest.mark.parametrize("reset", [None, jnp.ones((4, B), bool)], ids=["none", "some"])
def test_a_text_that_is_one_document(reset):
    assert Documents().find(None, jnp.zeros((4, B), jnp.int32), reset) == (reset, None)
