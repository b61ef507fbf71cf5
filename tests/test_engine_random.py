"""The engine equals the plain scan for random steps, in double precision."""

import jax
import jax.numpy as jnp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.agreement import compare, float64, normal

H, LEAVES = 6, 3


def turned(weight, a):
    """``W.T a`` with features first, as an author of unbatched equations writes it."""
    return (weight.T @ a.T).T


def blocks(p, a):
    parts = a.reshape(*a.shape[:-1], 2, H // 2)
    return jnp.einsum("...gi,gij->...gj", parts, p["blocks"]).reshape(a.shape)


def gates(wide):
    i, f = jnp.split(wide, 2, axis=-1)
    return jnp.tanh(i) * jax.nn.sigmoid(f)


def sliced(wide):
    return jnp.tanh(wide[..., :H]) - jax.nn.sigmoid(wide[..., 4 : H + 4])


def offset(p, i, a):
    return jnp.broadcast_to(p["b"][i], a.shape)


KINDS = {  # of parameters, two values, the number of a weight, and the scalars of the carry
    "dot": lambda p, a, b, i, clock, count: a @ p["W"][i],
    "turned": lambda p, a, b, i, clock, count: turned(p["W"][i], a),
    "blocks": lambda p, a, b, i, clock, count: blocks(p, a),
    "sum": lambda p, a, b, i, clock, count: a @ p["W"][i] + b + offset(p, i, a),
    "two": lambda p, a, b, i, clock, count: a @ p["W"][i] + b @ p["W"][0],
    "add": lambda p, a, b, i, clock, count: a + b,
    "sub": lambda p, a, b, i, clock, count: b - 2.0 * a,
    "mul": lambda p, a, b, i, clock, count: a * jnp.tanh(b),
    "div": lambda p, a, b, i, clock, count: a / (1.0 + b * b),
    "tanh": lambda p, a, b, i, clock, count: jnp.tanh(a),
    "sigmoid": lambda p, a, b, i, clock, count: jax.nn.sigmoid(a) * b,
    "scale": lambda p, a, b, i, clock, count: a * offset(p, i, a) + 0.1,
    # Compared with numbers that no value meets: rounding must not decide.
    "max": lambda p, a, b, i, clock, count: jnp.maximum(a, offset(p, i, a)),
    "where": lambda p, a, b, i, clock, count: jnp.where(a > offset(p, i, a), a, jnp.sin(b)),
    "relu": lambda p, a, b, i, clock, count: jax.nn.relu(a + offset(p, i, a)),
    "shift": lambda p, a, b, i, clock, count: jnp.concatenate([a[..., 2:], b[..., :2]], axis=-1),
    "gates": lambda p, a, b, i, clock, count: gates(a @ p["wide"][i % 2] + p["c"]),
    "literal": lambda p, a, b, i, clock, count: gates(a @ p["wide"][i % 2] + 1.0),
    "sliced": lambda p, a, b, i, clock, count: sliced(a @ p["wide"][i % 2]),
    "clocked": lambda p, a, b, i, clock, count: a @ p["W"][i] + clock + p["rate"],
    "counted": lambda p, a, b, i, clock, count: a * (1 + count % 3).astype(a.dtype),
    "mean": lambda p, a, b, i, clock, count: a @ p["W"][i] + jnp.mean(b, axis=-1, keepdims=True),
    "jit": lambda p, a, b, i, clock, count: jax.jit(lambda a, W: jnp.sin(a @ W))(a, p["W"][i]),
}


@st.composite
def recipes(draw):
    """Operations on values numbered carry, input, then results; and which become the carry."""
    number = st.integers(0, 20)
    operation = st.tuples(st.sampled_from(sorted(KINDS)), number, number, st.integers(0, 3))
    operations = draw(st.lists(operation, min_size=3, max_size=8))
    return operations, draw(st.lists(number, min_size=LEAVES + 1, max_size=LEAVES + 1))


# A failure is small as it is, and to make it smaller takes minutes.
@settings(max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    recipes(),
    st.sampled_from([(4, 3), (1, 3), (4, 1), (4, None), (1, 1)]),
    st.booleans(),
)
def test_random_steps(recipe, size, with_reset):
    operations, picks = recipe
    T, B = size
    rows = () if B is None else (B,)
    shapes = {"W": (4, H, H), "wide": (2, H, 2 * H), "blocks": (2, H // 2, H // 2), "b": (4, H)}
    shapes |= {"c": (*(1 for _ in rows), 2 * H), "rate": (), "unused": (2,)}

    def step(p, carry, x):
        count, clock, leaves = carry
        values = [*leaves, x]
        for kind, first, second, i in operations:
            a, b = values[first % len(values)], values[second % len(values)]
            values.append(KINDS[kind](p, a, b, i, clock, count))
        *after, y = (jnp.tanh(values[-1 - n % len(values)]) for n in picks)
        return (count + 1, 0.9 * clock + 0.1, after), (y, count)

    with float64():
        params = {k: normal(i, *s) for i, (k, s) in enumerate(shapes.items())}
        leaves = [normal(10 + i, *rows, H) for i in range(LEAVES)]
        carry = (jnp.int32(0), jnp.float64(0.3), leaves)
        xs = normal(20, T, *rows, H)
        options = {"reset": jnp.arange(T) % 3 == 1, "fresh": carry} if with_reset else {}
        compare(step, params, carry, xs, 1e-10, **options)
