"""What the unroll engine makes of a step: as plain data, in a line and in a table."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from charrnn_core.blame import told, told_with_place
from charrnn_core.cell import as_cell
from charrnn_core.engine.affine import is_affine
from charrnn_core.engine.equations import BEFORE, ONCE, Equation
from charrnn_core.engine.fallback import attempt
from charrnn_core.engine.plan import Plan
from charrnn_core.engine.products import Product
from charrnn_core.engine.unroll import Choice
from charrnn_core.errors import CharRNNError
from charrnn_core.network.network import Network
from charrnn_core.registry.registry import Registry
from charrnn_core.registry.spec import Ref
from charrnn_core.terminal import aligned

Explanation: TypeAlias = dict[str, Any]
"""A choice as plain data, for JSON and checkpoints; `explain` says what is in it."""

_SYMBOLS, _STREAMS, _WINDOW = 90, 2, 64
"""A text of the usual kind. Only whether a table is worth it depends on these numbers."""


def explain(choice: Choice) -> Explanation:
    """Describe a choice as plain data, for JSON and checkpoints.

    ``engine`` and ``why`` come from the choice. ``loops`` has an entry for each loop of the
    engine: how many equations run ``once``, ``before``, ``inside`` and ``after`` it, and its
    ``deferred`` products, whose weight's gradient is one product over all steps. In these h is
    anything that depends on the carry, W a weight, and ``merged`` how many of the step's products
    are computed as this one. A loop that can be an associative scan is ``affine``. ``own`` is there
    if the cell has its own sequence.

    >>> from charrnn_core.engine.unroll import choose
    >>> from jax import numpy as jnp
    >>> step = lambda W, h, x: (jnp.tanh(h @ W + x),) * 2
    >>> choice = choose(step, jnp.eye(3), jnp.ones((2, 3)), jnp.ones((4, 2, 3)))
    >>> explain(choice)["loops"][0]["deferred"]
    [{'product': 'h[B,3] @ W[3,3]', 'merged': 1}]
    """
    loops, fault = attempt(lambda: list(map(_loop, choice.plans)), list)
    missing = f"; its loops cannot be described: {told(fault)}" if fault else ""
    return {
        "engine": choice.engine,
        "why": " ".join(choice.why.split()) + missing,
        "loops": loops,
        **({"own": True} if choice.own else {}),
    }


def _loop(plan: Plan) -> Explanation:
    sums = [item for group in plan.groups for item in group.sums]

    def added_up(kind: int) -> int:
        """Count additions that leave the loop: what is added to a product is added up outside."""
        return sum(len(item.extra) - 1 for item in sums if item.extra_kind == kind)

    inside = sum(isinstance(item, Equation) for item in plan.loop)
    for item in sums:
        additions = len(item.products) - 1 + bool(item.extra) + len(item.rest)
        inside += len(item.products) + additions + (item.activation is not None)
    merged = [products for group in plan.groups for products in group.merged]
    return {
        "once": len(plan.fixed) + len(plan.once) + added_up(ONCE),
        "before": len(plan.before) + added_up(BEFORE),
        "inside": inside,
        "after": len(plan.after),
        **({"affine": True} if is_affine(plan) else {}),
        "deferred": [
            {"product": _shown(products, plan.inputs[0].aval.shape[:1]), "merged": len(products)}
            for products in merged
        ],
    }


def _shown(merged: Sequence[Product], batch: tuple[int, ...]) -> str:
    """Write products that are computed as one; `batch` is how a shape with streams begins."""
    first = merged[0]
    shape = first.operand.aval.shape
    operand = _named("h", ["B", *shape[1:]] if batch and shape[:1] == batch else shape)
    if first.plain:
        rows, _ = first.weight.aval.shape  # type: ignore[union-attr]  # a plain one's is a value
        width = sum(p.weight.aval.shape[1] for p in merged)  # type: ignore[union-attr]
        return f"{operand} @ {_named('W', [rows, width])}"
    left, right = (atom.aval.shape for atom in first.equation.inputs)  # type: ignore[union-attr]
    weight = _named("W", right if first.operand_first else left)
    pair = (operand, weight) if first.operand_first else (weight, operand)
    return f"dot_general({', '.join(pair)})"


def _named(name: str, shape: Sequence[object]) -> str:
    return f"{name}[{','.join(map(str, shape))}]"


def explain_cell(ref: Ref, registry: Registry | None = None) -> Explanation:
    """Explain what training makes of a cell that reads one-hot symbols.

    For a cell that cannot be built from its name alone it is ``{"unknown": why}``.

    Raises:
        CharRNNError: the argument that the spec gives does not fit.

    >>> explained = explain_cell(Ref.parse("elman:8"))
    >>> summary(explained)
    'engine (it has products that do not need a loop); 1 loop, 1 deferred product'
    """
    registry = registry or Registry.installed()
    try:
        cell = registry.build_cell(ref, as_cell)
        return explain(Network(cell, _SYMBOLS).choose(_STREAMS, _WINDOW))
    except Exception as error:  # whatever a plugin's cell raises must not hide its options
        ours = isinstance(error, CharRNNError)
        if ours and ref.argument is not None:
            raise
        return {"unknown": " ".join(str(error).split()) if ours else told_with_place(error)}


def summary(explained: Mapping[str, Any]) -> str:
    """Return an explanation in one line."""
    if "unknown" in explained:
        return f"unknown ({explained['unknown']})"
    way = "engine" if explained["engine"] else "scan"
    line = f"{'own sequence' if explained.get('own') else way} ({explained['why']})"
    if not explained["engine"]:
        return line
    loops = explained["loops"]
    deferred = sum(product["merged"] for loop in loops for product in loop["deferred"])
    return f"{line}; {_count(len(loops), 'loop')}, {_count(deferred, 'deferred product')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def lines(explained: Mapping[str, Any]) -> list[str]:
    """Return the summary and a table of the loops."""
    head = ("  equations", "once", "before", "inside", "after", "deferred products")
    table: list[tuple[str, ...]] = []
    for number, loop in enumerate(explained.get("loops", ()), start=1):
        counts = [str(loop[when]) for when in ("once", "before", "inside", "after")]
        first, *others = map(_deferred, loop["deferred"]) if loop["deferred"] else ["none"]
        name = f"  loop {number}{', affine' if loop.get('affine') else ''}"
        table.append((name, *counts, first))
        table += [("", "", "", "", "", product) for product in others]
    return [f"unroll: {summary(explained)}", *(aligned([head, *table]) if table else [])]


def _deferred(item: Mapping[str, Any]) -> str:
    merged = item["merged"]
    return item["product"] if merged == 1 else f"{item['product']} ({merged} merged)"
