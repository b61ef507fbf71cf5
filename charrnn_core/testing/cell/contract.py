"""The contract of a cell, one check for each sentence of it.

What is checked is the cell as its spec gives it, with 8 units if the spec leaves the width open.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from charrnn_core.arrays import Carry, Params
from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from charrnn_core.registry.spec import Ref
from charrnn_core.testing.cell.subject import INPUTS, ROWS, STEPS, CellSubject, inputs
from charrnn_core.testing.compiling import compiled
from charrnn_core.testing.demands import demand_fixed_shapes, demand_safe_keeping
from charrnn_core.testing.kit import fail
from charrnn_core.testing.trees import farthest, in_dtype, randomly, shapes

_TOLERANCE = 1e-5
_BROAD = 1000.0


def initialisation(subject: CellSubject) -> str:
    """Parameters follow from the key alone, differ between keys, and are finite."""
    again, other = (subject.build().init(jax.random.key(seed), INPUTS) for seed in (0, 1))
    apart, where = farthest(again, subject.params)
    if apart:
        fail(
            f"the same key gives parameters that differ by {apart:.2g} at {where}",
            "draw them only from the key passed to init",
        )
    if not farthest(other, subject.params)[0] and jax.tree.leaves(other):
        fail("two keys give the same parameters", "draw at least the weights from the key")
    for path, leaf in jax.tree_util.tree_leaves_with_path(subject.params):
        if not np.isfinite(np.asarray(leaf, np.float64)).all():
            fail(f"parameter {jax.tree_util.keystr(path)} is not finite", "fix its initialiser")
    return f"{sum(leaf.size for leaf in jax.tree.leaves(subject.params)):,} parameters"


def carry_is_fixed(subject: CellSubject) -> str:
    """A step keeps the carry's structure, shapes and dtypes, and returns an output [B,H]."""
    cell = subject.cell
    for rows in (1, ROWS):
        x = jax.ShapeDtypeStruct((rows, INPUTS), jnp.float32)
        carry = jax.eval_shape(
            lambda params, rows=rows: cell.initial_carry(params, (rows, INPUTS)), subject.params
        )
        after, y = jax.eval_shape(cell.step, subject.params, carry, x)
        change = "return the carry with unchanged structure, shapes and dtypes"
        demand_fixed_shapes("a step", carry, after, change)
        if any(leaf.shape[:1] != (rows,) for leaf in jax.tree.leaves(carry)):
            fail(
                f"for {rows} rows the carry is {shapes(carry)}",
                "make the batch the first axis of every leaf of the carry",
            )
        if y.ndim != 2 or y.shape[0] != rows:
            fail(
                f"for {rows} rows the output has shape {y.shape}",
                "return an output of shape (B, H)",
            )
    return f"carry {shapes(subject.fresh)}"


def pure(subject: CellSubject) -> None:
    """The same parameters, carry and input always give the same carry and output."""
    first, other = inputs(1)[0], inputs(2)[0]
    one = subject.cell.step(subject.params, subject.fresh, first)
    subject.cell.step(subject.params, subject.fresh, other)
    two = subject.cell.step(subject.params, subject.fresh, first)
    apart, where = farthest(two, one)
    if apart:
        fail(
            f"a second call with the same arguments gives a result that differs by {apart:.2g} "
            f"at {where}",
            "keep what changes from step to step in the carry, not in the object, a global or a "
            "random generator",
        )
    start, restart = subject.fresh, subject.restart(subject.params)
    if farthest(restart, start)[0]:
        fail(
            "two calls of initial_carry with the same arguments differ",
            "make the initial carry depend only on its arguments",
        )
    with jax.checking_leaks():
        jax.jit(subject.build().step)(subject.params, subject.fresh, first)


def traced_once(subject: CellSubject) -> None:
    """A compiled step is not traced again when called with the carry it returned."""
    cell, calls = subject.build(), 0

    def counted(params: Params, carry: Carry, x: jax.Array) -> Any:
        nonlocal calls
        calls += 1
        return cell.step(params, carry, x)

    again, carry = jax.jit(counted), cell.initial_carry(subject.params, (ROWS, INPUTS))
    for x in inputs(3):
        carry, _ = again(subject.params, carry, x)
    if calls > 1:
        fail(
            f"{STEPS} calls of the compiled step traced it {calls} times",
            "make initial_carry return arrays of exactly the dtype that a step returns, such as "
            "jnp.zeros(shape, jnp.float32), not Python numbers",
        )
    x = inputs(3)[0]
    if recompiled := _compilations_of(lambda: cell.step(subject.params, carry, x)):
        fail(
            f"functions compiled by each call of the step: {recompiled}; expected 0",
            "create compiled functions once, at module level: a jax.jit(lambda ...) inside the "
            "step is a new function on every call",
        )


def _compilations_of(call: Callable[[], Any]) -> int:
    """Return how many functions jax compiles on a repeated call."""
    for _ in range(2):
        call()
    count = 0

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        nonlocal count
        count += listening and event == "/jax/core/compile/backend_compile_duration"

    listening = True
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        call()
    finally:
        listening = False  # jax has no public way to take a listener back
    return count


def causality(subject: CellSubject) -> None:
    """Changing the input at step t changes no output before t."""
    xs, nothing = inputs(4), np.zeros((STEPS, ROWS), bool)
    for name, way in subject.ways.items():
        _, ys = way(subject.fresh, xs, nothing)
        for t in range(1, STEPS):
            _, changed = way(subject.fresh, xs.at[t].add(1.0), nothing)
            moved = np.abs(np.asarray(changed - ys, np.float64)).max(axis=(1, 2))
            if (early := moved[:t]).max() > _TOLERANCE:
                step = int(early.argmax())
                fail(
                    f"with {name}, changing the input at step {t} changes the output at step "
                    f"{step} by {early.max():.2g}: the cell sees the future",
                    "make each output depend only on inputs up to its own step",
                )


def two_halves(subject: CellSubject) -> None:
    """Reading a sequence in two halves, with the carry passed on, equals one pass."""
    xs, cut = inputs(5), 2
    _, whole = subject.scan(subject.carry, xs)
    between, first = subject.scan(subject.carry, xs[:cut])
    _, second = subject.scan(between, xs[cut:])
    apart, _ = farthest(jnp.concatenate([first, second]), whole)
    if apart > _TOLERANCE:
        fail(
            f"two halves differ from one pass by {apart:.2g}",
            "keep everything that a step needs from the past in the carry",
        )


def steps_equal_sequence(subject: CellSubject) -> str:
    """Single steps equal every way of running a sequence, parallel ones included."""
    xs, nothing = inputs(6), np.zeros((STEPS, ROWS), bool)
    carry, outputs = subject.carry, []
    for x in xs:
        carry, y = subject.cell.step(subject.params, carry, x)
        outputs.append(y)
    expected = (carry, jnp.stack(outputs))
    worst = 0.0
    for name, way in subject.ways.items():
        got = way(subject.carry, xs, nothing)
        apart, where = farthest(got, expected)
        if not apart <= _TOLERANCE:
            what = "the output" if where.startswith("[1]") else "the carry"
            fail(
                f"with {name}, {what} differs from that of single steps by {apart:.2g}",
                "make both compute the same equation; step is the definition",
            )
        worst = max(worst, apart)
    return f"at most {worst:.1g} apart"


def rows_are_independent(subject: CellSubject) -> None:
    """No row of the batch influences another."""
    xs = inputs(7)
    _, ys = subject.scan(subject.carry, xs)
    _, changed = subject.scan(subject.carry, xs.at[:, 1].add(1.0))
    moved = np.abs(np.asarray(changed - ys, np.float64)).max(axis=(0, 2))
    moved[1] = 0
    if moved.max() > _TOLERANCE:
        fail(
            f"changing the input of row 1 changes the output of row {moved.argmax()} by "
            f"{moved.max():.2g}: the rows are mixed",
            "normalise, average or draw within a row, over features, never over the batch",
        )
    alone = jax.tree.map(lambda leaf: leaf[:1], subject.carry)
    step = subject.cell.step
    _, together = step(subject.params, subject.carry, xs[0])
    _, single = step(subject.params, alone, xs[0, :1])
    if (apart := farthest(single, together[:1])[0]) > _TOLERANCE:
        fail(
            f"a row alone gives an output that differs by {apart:.2g} from the same row in a "
            f"batch of {ROWS}",
            "make the result independent of the number of rows",
        )


def reset_is_a_fresh_start(subject: CellSubject) -> None:
    """A row that is reset continues as if nothing had been read before."""
    xs, t, row = inputs(8), 2, 1
    reset = np.zeros((STEPS, ROWS), bool)
    reset[t, row] = True
    expected = subject.scan(subject.fresh, xs[t:])[1][:, row]
    kept = subject.scan(subject.carry, xs)[1][:, 0]
    for name, way in subject.ways.items():
        _, ys = way(subject.carry, xs, reset)
        if not (apart := farthest(ys[t:, row], expected)[0]) <= _TOLERANCE:
            fail(
                f"with {name}, a row that is reset differs from a fresh start by {apart:.2g}",
                "start from initial_carry before a step whose reset is True, and keep nothing "
                "of the past outside the carry",
            )
        if not (apart := farthest(ys[:, 0], kept)[0]) <= _TOLERANCE:
            fail(
                f"with {name}, resetting row {row} changes row 0 by {apart:.2g}",
                "reset only the rows whose reset is True",
            )


def saturation(subject: CellSubject) -> None:
    """Inputs of a thousand give finite outputs, carries and gradients."""
    xs = _BROAD * inputs(9, steps=20)

    def total(params: Params, carry: Carry) -> tuple[jax.Array, Any]:
        after, ys = subject.cell_scan(params, carry, xs)
        return jnp.mean(ys.astype(jnp.float32)), (after, ys)

    run = compiled(jax.value_and_grad(total, has_aux=True))
    (_, (after, ys)), grads = run(subject.params, subject.fresh)
    found = {"output": ys, "carry": after, "gradient": grads}
    for what, tree in found.items():
        for leaf in jax.tree.leaves(tree):
            values = np.asarray(leaf, np.float64)
            if not np.isfinite(values).all():
                bad = values[~np.isfinite(values)].flat[0]
                fail(
                    f"with inputs of magnitude {_BROAD:g}, the {what} contains {bad}",
                    "bound exponents and denominators: use jax.nn.sigmoid, softplus, log_sigmoid "
                    "or logsumexp instead of exp, and keep both branches of jnp.where finite",
                )


def bfloat16(subject: CellSubject) -> str:
    """Parameters, carry and input in bfloat16 give a carry in bfloat16 and a similar output."""
    params, carry, x = (
        in_dtype(tree, jnp.bfloat16) for tree in (subject.params, subject.carry, inputs(10)[0])
    )
    after, y = subject.cell.step(params, carry, x)
    if shapes(after) != shapes(carry):
        fail(
            f"a step turns a carry {shapes(carry)} into {shapes(after)}",
            "do not hard-code dtypes inside the step; take them from its arguments",
        )
    exact = subject.cell.step(*(in_dtype(tree, jnp.float32) for tree in (params, carry, x)))[1]
    apart = farthest(y, exact)[0]
    if not apart < 0.2:
        fail(
            f"the output in bfloat16 has a relative error of {apart:.2g} compared with float32",
            "compute long sums and large exponents in float32",
        )
    return f"relative error {apart:.1g}"


def saves_and_loads(subject: CellSubject) -> None:
    """Parameters and carry survive a checkpoint bit for bit, under the same names."""
    kept = {"params": randomly(subject.params, 3), "carry": randomly(subject.carry, 4)}
    built = subject.build()
    params = jax.eval_shape(lambda: built.init(jax.random.key(5), INPUTS))
    templates = {"params": params, "carry": kept["carry"]}
    demand_safe_keeping(kept, templates, "use plain arrays for parameters and carry")


def inside_stacked(subject: CellSubject) -> None:
    """It works as both layers of a stacked cell that reads text."""
    ref = subject.at_width(8)
    stack = subject.registry.build_cell(Ref("stacked", None, {"layers": (ref, ref)}), as_cell)
    network = Network(stack, INPUTS)
    params = network.init(jax.random.key(0))
    carry = network.initial_carry(params, ROWS)
    ids = jnp.asarray(np.random.default_rng(0).integers(INPUTS, size=(STEPS, ROWS)), jnp.int32)
    logits, after = compiled(network.unroll)(params, carry, ids)
    if logits.shape != (STEPS, ROWS, INPUTS) or shapes(after) != shapes(carry):
        fail(
            f"two layers of it give logits of shape {logits.shape} and a carry {shapes(after)}",
            f"expected {(STEPS, ROWS, INPUTS)} and {shapes(carry)}: accept inputs of any width",
        )
    if not np.isfinite(np.asarray(logits)).all():
        fail(
            "two layers of it give logits that are not finite",
            "scale the initial weights with the width of the input",
        )


CONTRACT = (
    initialisation, carry_is_fixed, pure, traced_once, causality,
    two_halves, steps_equal_sequence, rows_are_independent, reset_is_a_fresh_start, saturation,
    bfloat16, saves_and_loads, inside_stacked,
)  # fmt: skip
"""The checks of this module."""
