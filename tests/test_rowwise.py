"""Rows that follow from their own input alone are found in the equations, not by lengths."""

import jax
import jax.numpy as jnp
import pytest

from charrnn_core.engine.rowwise import RowTracker
from charrnn_core.engine.trace import trace

N = 4  # rows, columns and symbols: no axis can be told from another by its length

YES = {
    "one-hot": lambda p, ids: jax.nn.one_hot(ids, N),
    "an embedding": lambda p, ids: p[ids],
    "a projection": lambda p, ids: jax.nn.one_hot(ids, N) @ p + p[:1],
    "activations": lambda p, ids: jax.nn.relu(jnp.tanh(p[ids])) * jax.nn.softplus(p[ids]),
    "normalised": lambda p, ids: p[ids] - p[ids].mean(axis=-1, keepdims=True),
    "heads": lambda p, ids: p[ids].reshape(N, 2, 2).sum(axis=-1),
    "joined": lambda p, ids: jnp.concatenate([p[ids], jnp.tanh(p[ids])], axis=-1),
    "arithmetic": lambda p, ids: jnp.where((ids % 2 == 0)[:, None], p[ids], 2 * p[ids]),
}
NO = {
    "columns": lambda p, ids: p[ids].T,
    "a product from the left": lambda p, ids: p @ p[ids],
    "between rows": lambda p, ids: p[ids] @ p[ids].T,
    "over rows": lambda p, ids: jnp.cumsum(p[ids], axis=0),
    "over all": lambda p, ids: jnp.broadcast_to(p[ids].sum(axis=0), (N, N)),
    "the next row's": lambda p, ids: jnp.roll(p[ids], 1, axis=0),
    "sorted": lambda p, ids: jnp.sort(ids),
    "a parameter for each row": lambda p, ids: p[ids] * p,
    "a number for each row": lambda p, ids: p[ids] + jnp.arange(1.0, N + 1)[:, None],
    "a table for each row": lambda p, ids: jnp.take_along_axis(p, ids[:, None], axis=1),
    "a column as a row": lambda p, ids: ids[:, None] + ids[None, :],
    "broken up": lambda p, ids: p[ids] + p[:1].reshape(N, 1),
}


def has_such_rows(function):
    traced = trace(lambda p, carry, ids: (carry, function(p, ids)), jnp.ones((N, N)), (),
                   jnp.zeros(N, jnp.int32))  # fmt: skip
    rows = RowTracker(traced.inputs[0], N)
    found = {value: rows.follow(e) for e in traced.equations for value in e.outputs}
    return found[traced.outputs[0]]


@pytest.mark.parametrize("name", YES)
def test_these_have(name):
    assert has_such_rows(YES[name])


@pytest.mark.parametrize("name", NO)
def test_these_have_not(name):
    assert not has_such_rows(NO[name])
