"""Recurrences that are affine, element by element, in logarithmic depth: equal to a plain scan."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from charrnn_core.cell import as_cell
from charrnn_core.engine.affine import is_affine, recurrence
from charrnn_core.engine.unroll import choose, unroll
from charrnn_core.registry.spec import Ref
from tests.agreement import QUICKLY, agree, float64, normal, randomly, scalar

T, B, H, V = 7, 3, 5, 6


AFFINE = {
    "decay": lambda p, h, x: (p["a"] * h + x, h),
    "negated, divided": lambda p, h, x: ((x - h) / (2 + p["a"] ** 2), jnp.tanh(h)),
    "chosen": lambda p, h, x: (jnp.where(x > 0, h * x, x - h), h + x),
    "kept": lambda p, h, x: (h, h * x),
    "forgotten": lambda p, h, x: (x * p["a"], h),
    "its own sum": lambda p, h, x: (h * x + h, jnp.sin(h) @ p["W"]),
    "decay alone": lambda p, h, x: (0.5 * h, h + x),
}
CURVED = {
    "tanh": lambda p, h, x: (jnp.tanh(p["a"] * h + x), h),
    "square": lambda p, h, x: (h * h * x, h),
    "reciprocal": lambda p, h, x: (x / (3 + h), h),
    "choice by h": lambda p, h, x: (jnp.where(h > 0, h * x, x), h),
    "stopped": lambda p, h, x: (h + jax.lax.stop_gradient(h) * x, h),
    "mixed units": lambda p, h, x: (h @ p["W"] + x, h),
    "turned units": lambda p, h, x: (h[:, ::-1] * x, h),
    "row's mean": lambda p, h, x: (h - jnp.broadcast_to(h.mean(1, keepdims=True), h.shape), h),
}


def arguments():
    params = {"a": normal(0, 1, H), "W": normal(1, H, H)}
    return params, normal(2, B, H), normal(3, T, B, H)


def plans(step, params, carry, xs):
    return choose(step, params, carry, xs, mode="parallel").plans


def both(step, params, carry, xs, tolerance, **options):
    """Values and gradients, the associative scan against the plain one."""

    def outcome(mode, params, carry, xs):
        results = unroll(step, params, carry, xs, mode=mode, **options)
        return scalar(results), results

    results = []
    for mode in ("parallel", "scan"):
        function = jax.value_and_grad(partial(outcome, mode), argnums=(0, 1, 2), has_aux=True)
        (_, values), gradients = jax.jit(function, compiler_options=QUICKLY)(params, carry, xs)
        results.append((values, gradients))
    agree(*results, tolerance)


def loops(step, *arguments, **options):
    """How many loops the program has."""
    program = str(jax.make_jaxpr(partial(unroll, step, **options))(*arguments))
    return program.count("scan[")


@pytest.mark.parametrize("name", AFFINE)
def test_affine_steps(name):
    step = AFFINE[name]
    with float64():
        given = arguments()
        assert all(map(is_affine, plans(step, *given)))
        both(step, *given, 1e-10)
        reset = jnp.asarray(np.random.default_rng(4).random((T, B)) < 0.3)
        both(step, *given, 1e-10, reset=reset, fresh=normal(5, B, H))
        assert loops(step, *given, mode="parallel") == 0 < loops(step, *given, mode="engine")


@pytest.mark.parametrize("name", CURVED)
def test_other_steps_keep_their_loop(name):
    given = arguments()
    assert not any(map(is_affine, plans(CURVED[name], *given)))
    assert loops(CURVED[name], *given, mode="parallel") == 1


def test_leaves_of_the_carry():
    def apart(p, carry, x):
        one, two = carry
        return (p["a"] * one + x, two * x), one + two

    def crossed(p, carry, x):
        one, two = carry
        return (p["a"] * two + x, one * x), one + two

    def one_mixed(p, carry, x):
        one, two = carry
        return (one + two, two * x), one

    def other_mixed(p, carry, x):
        one, two = carry
        return (one * x, one + two), one

    def counting(p, carry, x):
        h, count = carry
        return (p["a"] * h + x, count + 1), h

    params, h, xs = arguments()
    with float64():
        given = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (params, (h, 2 * h), xs))
        assert all(map(is_affine, plans(apart, *given)))
        both(apart, *given, 1e-10)
    for step in (crossed, one_mixed, other_mixed):
        assert not any(map(is_affine, plans(step, params, (h, h), xs)))
    assert not any(map(is_affine, plans(counting, params, (h, jnp.int32(0)), xs)))
    assert all(map(is_affine, plans(lambda p, h, x: (h, x + 1), params, (), xs)))


@pytest.mark.parametrize(
    "spec, count", [("mingru:5", 1), ("minlstm:5", 1), ("rglru:5", 1), ("stacked:mingru:5*2", 2)]
)
def test_cells(registry, spec, count):
    cell = registry.build_cell(Ref.parse(spec), as_cell)
    with float64():
        params = randomly(cell.init(jax.random.key(0), V), 1, np.float64)
        carry = randomly(cell.initial_carry(params, (B, V)), 2, np.float64)
        xs = normal(3, T, B, V)
        reset = jnp.asarray(np.random.default_rng(4).random((T, B)) < 0.3)
        found = plans(cell.step, params, carry, xs)
        assert [is_affine(plan) for plan in found] == [True] * count
        assert loops(cell.step, params, carry, xs, mode="parallel") == 0
        both(cell.step, params, carry, xs, 1e-10, reset=reset)


def test_on_a_cpu_only_where_asked():
    step, given = AFFINE["decay"], arguments()
    assert jax.default_backend() == "cpu"
    assert loops(step, *given, mode="engine") == loops(step, *given) == 1


def test_long_windows_of_strong_decay_stay_finite_and_exact():
    """Products of decays underflow; nothing is divided by them."""
    a, b = jnp.full((300, 2), 0.01), normal(1, 300, 2)

    @partial(jax.jit, compiler_options=QUICKLY)
    def run(a, b):
        return recurrence(a, b, b[0]), jax.grad(lambda a: recurrence(a, b, b[0]).sum())(a)

    values, slopes = run(a, b)
    expected = b[2:] + 0.01 * b[1:-1] + 1e-4 * b[:-2]
    np.testing.assert_allclose(values[2:], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(slopes[2:-1], 1.01 * values[1:-2], rtol=1e-3, atol=1e-3)


def test_complex_numbers():
    def turning(p, h, x):
        h = p * h + x
        return h, h

    def number(seed, *shape):
        return jax.lax.complex(normal(seed, *shape), normal(seed + 1, *shape))

    def outcome(mode, *given):
        h, ys = unroll(turning, *given, mode=mode)
        return scalar([jnp.real(h), jnp.imag(ys), jnp.real(ys)])

    given = number(0, B, H), number(2, B, H), number(4, T, B, H)
    one, other = (
        jax.jit(jax.grad(partial(outcome, mode), argnums=(0, 1, 2)))(*given)
        for mode in ("parallel", "scan")
    )
    for part in (jnp.real, jnp.imag):
        agree(jax.tree.map(part, one), jax.tree.map(part, other), 1e-5)


def gradient(mode, *given):
    def loss(*given):
        return scalar(jax.tree.map(jnp.sin, unroll(AFFINE["decay"], *given, mode=mode)))

    return jax.grad(loss, argnums=(0, 1, 2))(*given)


def over_many(mode, params, carry, xs):
    many = jnp.stack([xs, -xs])
    return jax.vmap(partial(gradient, mode), in_axes=(None, None, 0))(params, carry, many)


def twice(mode, *given):
    def squares(*given):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient(mode, *given)))

    return jax.grad(squares, argnums=(0, 1, 2))(*given)


def spread(mode, *given):
    """On a mesh, with the rows shared out, and types that tell over which axes they vary."""
    P = jax.P
    rows = ({"a": P(), "W": P()}, P("data"), P(None, "data"))
    share = jax.shard_map(
        lambda *given: gradient(mode, *given),
        mesh=jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,)),
        in_specs=rows,
        out_specs=rows,
    )
    return share(*given)


@pytest.mark.parametrize("transform", [over_many, twice, spread], ids=lambda f: f.__name__)
def test_inside(transform):
    with float64():
        given = arguments()
        run = jax.jit(transform, static_argnums=0)
        agree(run("parallel", *given), run("scan", *given), 1e-10)
