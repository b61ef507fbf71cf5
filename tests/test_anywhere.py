"""The engine in anybody's program: `scan`, `RNN` and `as_flax` against what they stand in for."""

import re
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from charrnn_core import RNN, OptionError, as_cell, as_flax, scan
from charrnn_core.engine.unroll import choose
from charrnn_core.javascript.inside import held_and_carried
from tests.agreement import QUICKLY, agree, float64, normal, scalar

T, B, H, V = 6, 3, 5, 4


def gated(params, over_time, carry, xs, **options):
    """A step that closes over its parameters, as people write them."""

    def f(carry, x):
        h, count = carry
        gate = jax.nn.sigmoid(h @ params["G"] + x @ params["U"])
        h = gate * h + (1 - gate) * jnp.tanh(h @ params["W"] + params["b"])
        return (h, count + 1), {"logits": h @ params["U"].T, "count": count}

    return over_time(f, carry, xs, **options)


def arguments(*leading):
    params = {k: normal(i, *s) for i, (k, s) in enumerate(
        {"G": (H, H), "U": (V, H), "W": (H, H), "b": (1, H)}.items()
    )}  # fmt: skip
    return params, (normal(5, *leading, B, H), jnp.int32(0)), normal(7, *leading, T, B, V)


def outcome(over_time, params, h, xs, **options):
    results = gated(params, over_time, (h, jnp.int32(0)), xs, **options)
    return scalar(jax.tree.map(jnp.sin, results)), results


def gradients(over_time, *given, **options):
    function = partial(outcome, over_time, **options)
    return jax.value_and_grad(function, argnums=(0, 1, 2), has_aux=True)(*given)


def over_many(over_time, params, h, xs):
    return jax.vmap(partial(gradients, over_time), in_axes=(None, 0, 0))(
        params, jnp.stack([h, -h]), jnp.stack([xs, 2 * xs])
    )


def checkpointed(over_time, *given):
    function = jax.checkpoint(partial(outcome, over_time))
    return jax.grad(function, argnums=(0, 1, 2), has_aux=True)(*given)


def twice(over_time, *given):
    def squares(*given):
        _, found = gradients(over_time, *given)
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(found))

    return jax.grad(squares, argnums=(0, 1, 2))(*given)


@pytest.mark.parametrize(
    "transform",
    [gradients, partial(gradients, reverse=True), over_many, checkpointed, twice],
    ids=["gradients", "reverse", "vmap", "checkpoint", "twice"],
)
def test_scan_is_lax_scan(transform):
    with float64():
        params, (h, _), xs = arguments()
        given = params, h, xs
        ours, expected = (
            jax.jit(partial(transform, way), compiler_options=QUICKLY)(*given)
            for way in (scan, jax.lax.scan)
        )
        agree(ours, expected, 1e-10)


def test_scan_in_float32_and_without_jit():
    params, (h, _), xs = arguments()
    agree(gradients(scan, params, h, xs), gradients(jax.lax.scan, params, h, xs), 1e-5)


def test_scan_uses_the_engine():
    """The weights' gradients are not added up in the backward loop."""
    params, (h, _), xs = arguments()

    def carries_of_loops(over_time):
        jaxpr = jax.make_jaxpr(jax.grad(lambda *a: outcome(over_time, *a)[0]))(params, h, xs)
        scans = [e for e in jaxpr.eqns if e.primitive.name == "scan"]
        shapes = [[[v.aval.shape for v in vs] for vs in (e.invars, e.outvars)] for e in scans]
        return [
            held_and_carried(e.params["jaxpr"], *some)[1]
            for e, some in zip(scans, shapes, strict=True)
        ]

    assert max(carries_of_loops(scan)) < max(carries_of_loops(jax.lax.scan))
    assert choose(lambda p, h, x: (h @ params["W"],) * 2, None, h, xs).engine


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_with_a_length_alone(steps, reverse):
    W = normal(0, H, H)
    f = lambda h, x: (jnp.tanh(h @ W), h)  # noqa: E731  # as people write it
    ours, expected = (way(f, normal(1, B, H), None, steps, reverse) for way in (scan, jax.lax.scan))
    agree(ours, expected, 1e-5)
    assert ours[1].shape == (steps, B, H)


@pytest.mark.parametrize(
    "call",
    [
        lambda way: way(lambda h, x: (h, x), 0.0, jnp.ones(3), length=4),
        lambda way: way(lambda h, x: (h, x), 0.0),
        lambda way: way(lambda h, x: ((h, h), x), jnp.ones(2), jnp.ones(3)),
        lambda way: way(lambda h, x: ([*h], x), (jnp.ones((2, 2)) @ jnp.eye(2),), jnp.ones(3)),
        lambda way: way(lambda h, x: (h @ jnp.ones((2, 3)), x), jnp.ones((2, 2)), jnp.ones(3)),
        lambda way: way(lambda h, x: (h, x), 0.0, (jnp.ones(3), jnp.ones(4))),
    ],
)
def test_scan_refuses_what_lax_scan_refuses(call):
    with pytest.raises((TypeError, ValueError)) as expected:
        call(jax.lax.scan)
    with pytest.raises(expected.type):
        call(scan)


OPTIONS = [
    {},
    {"time_major": True, "return_carry": True},
    {"reverse": True, "return_carry": True},
    {"reverse": True, "keep_order": True},
    {"reverse": True, "keep_order": True, "return_carry": True,
     "seq_lengths": jnp.array([2, 6, 1])},
    {"seq_lengths": jnp.array([4, 1, 6]), "return_carry": True, "time_major": True},
]  # fmt: skip


def sequence(options, dtype=None):
    shape = (T, B, V) if options.get("time_major") else (B, T, V)
    return normal(1, *shape, dtype=dtype)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_linen(options):
    with float64(), jax.numpy_rank_promotion("allow"):  # flax turns sequences so
        cell, xs = nn.LSTMCell(H, dtype=jnp.float64, param_dtype=jnp.float64), sequence(options)
        theirs, ours = nn.RNN(cell), RNN(cell)
        params = theirs.init(jax.random.key(0), xs)
        agree(ours.init(jax.random.key(0), xs), params, 0.0)

        def both(module):
            def found(params, xs):
                results = module.apply(params, xs, **options)
                return scalar(results), results

            run = jax.value_and_grad(found, argnums=(0, 1), has_aux=True)
            return jax.jit(run, compiler_options=QUICKLY)(params, xs)

        agree(both(ours), both(theirs), 1e-10)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_nnx(options):
    with float64(), jax.numpy_rank_promotion("allow"):
        cell = nnx.GRUCell(V, H, dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        xs = sequence(options)

        def both(module):
            def found(module, xs):
                results = module(xs, **options)
                return scalar(results), results

            run = nnx.value_and_grad(found, argnums=(0, 1), has_aux=True)
            (value, results), (of_module, of_xs) = nnx.jit(run)(module, xs)
            return value, results, nnx.to_pure_dict(of_module)["cell"], of_xs

        agree(both(RNN(cell)), both(nnx.RNN(cell)), 1e-10)


class Dropping(nnx.RNNCellBase):
    """A cell of its own that draws random numbers at every step."""

    def __init__(self, width, features, *, rngs):
        self.features = features
        self.W = nnx.Linear(features, features, rngs=rngs)
        self.U = nnx.Linear(width, features, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, h, x):
        h = jnp.tanh(self.drop(self.W(h)) + self.U(x))
        return h, h

    def initialize_carry(self, input_shape, rngs=None):
        return jnp.zeros((*input_shape[:-1], self.features))

    @property
    def num_feature_axes(self):
        return 1


def test_nnx_hands_random_states_on():
    made = [Dropping(V, H, rngs=nnx.Rngs(0)) for _ in range(2)]
    ours, theirs = RNN(made[0]), nnx.RNN(made[1])
    for _ in range(2):
        agree(ours(sequence({})), theirs(sequence({})), 1e-5)
    counts = [nnx.to_pure_dict(nnx.state(cell, nnx.RngCount)) for cell in made]
    assert jax.tree.leaves(counts[0]) and counts[0] == counts[1]


class Learnt:
    """A charrnn cell whose initial carry is learnt."""

    def init(self, key, in_features):
        W, U, start = (jax.random.fold_in(key, i) for i in range(3))
        normal = jax.random.normal
        return {
            "W": normal(W, (H, H)),
            "U": normal(U, (in_features, H)),
            "start": normal(start, (H,)),
        }

    def initial_carry(self, params, input_shape):
        return jnp.broadcast_to(params["start"], (input_shape[0], H))

    def step(self, params, h, x):
        h = jnp.tanh(h @ params["W"] + x @ params["U"])
        return h, h


@pytest.mark.parametrize("wrap", [nn.RNN, RNN])
def test_a_cell_of_charrnn_in_flax(wrap):
    cell, xs = Learnt(), sequence({})
    module = wrap(as_flax(cell), return_carry=True)
    (end, ys), params = module.init_with_output(jax.random.key(1), xs)
    weights = params["params"]["cell"]["weights"]
    h, expected = cell.initial_carry(weights, (B, V)), []
    for t in range(T):
        h, y = cell.step(weights, h, xs[:, t])
        expected.append(y)
    agree((end, ys), (h, jnp.stack(expected, axis=1)), 1e-5)
    agree(module.apply(params, xs), (end, ys), 1e-5)


def test_a_cell_of_charrnn_in_rnn():
    by_flax, by_cell = RNN(as_flax(Learnt())), RNN(Learnt())
    params = by_flax.init(jax.random.key(0), sequence({}))
    agree(by_cell.apply(params, sequence({})), by_flax.apply(params, sequence({})), 0.0)
    gru = nn.GRUCell(H)
    assert as_flax(as_cell(gru)) is gru and as_flax(gru) is gru


def test_both_directions():
    """It is an RNN to flax, too."""
    found = []
    for kind in (nn.RNN, RNN):
        module = nn.Bidirectional(kind(nn.GRUCell(H)), kind(nn.GRUCell(H)))
        params = module.init(jax.random.key(0), sequence({}))
        weights = [normal(i, *leaf.shape) for i, leaf in enumerate(jax.tree.leaves(params))]
        found.append(
            module.apply(jax.tree.unflatten(jax.tree.structure(params), weights), sequence({}))
        )
    agree(found[1], found[0], 1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: RNN(nn.GRUCell(H), variable_carry="state"), "RNN is given variable_carry"),
        (lambda: RNN(nn.GRUCell(H), split_rngs={"params": True}), "RNN is given split_rngs"),
        (lambda: RNN(nnx.GRUCell(V, H, rngs=nnx.Rngs(0)), state_axes={}), "given state_axes"),
        (lambda: RNN(nn.GRUCell), "expected an RNN cell of flax"),
        (lambda: RNN("gru"), "RNN is given 'gru'; expected"),
        (lambda: as_flax(nn.Dense(3)), "as_flax is given"),
    ],
)
def test_what_it_cannot_honour(call, message):
    with pytest.raises(OptionError, match=message):
        call()


@pytest.mark.parametrize("name", ["optax_loop", "nnx_loop"])
def test_the_example_loops(name, capsys):
    """At a size of no use, they train alike whatever gets over time."""
    code = (Path(__file__).parent.parent / "examples/loops" / f"{name}.py").read_text()
    small = code.replace("B, T, H, STEPS = 32, 64, 128, 30", "B, T, H, STEPS = 2, 4, 8, 3")
    assert small != code
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        exec(compile(small.replace(" * 20\n", "\n"), name, "exec"), {"__name__": name})
    nats = re.findall(r"per update, (\S+) nats", capsys.readouterr().out)
    assert len(nats) == 2 and nats[0] == nats[1]
