"""Programs of one process of tests, which networks that are equal share.

Every training, model and command makes its network anew, and traces, lowers and loads the programs
that an equal one had before it: that is most of what a test of a small run computes. Here the
functions that the core jits are known by what they are made of, so that an equal one is the same
jitted function. Whoever uses charrnn does not have this: a cell can be edited between two trainings
in a notebook, and nothing tells.
"""

import dataclasses
import functools
import threading
import types
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax

_MOST = 200
_OURS = "charrnn"
_VALUES = (bool, int, float, complex, str, bytes, type(None), type(...))
_AS_THEY_ARE = (type, types.ModuleType, types.BuiltinFunctionType, jax.sharding.Sharding)

_IDENTICAL = (type(jax.jit(lambda: 0)), jax.custom_jvp, jax.custom_vjp)
"""Functions that are the same only if they are one."""

_jit = jax.jit
_lock = threading.Lock()
_kept: OrderedDict[Hashable, Any] = OrderedDict()
_shares = True


class _Unknown(Exception):
    """What something is made of cannot be told."""


def share_programs() -> None:
    """Have `jax.jit` return the same function for functions of the core that are equal."""
    jax.jit = _shared_jit


@contextmanager
def apart(*, when: bool = True) -> Iterator[None]:
    """Share nothing meanwhile, neither what was there before nor what is made."""
    global _shares
    before, _shares = _shares, _shares and not when
    try:
        yield
    finally:
        _shares = before


def _shared_jit(function: Any = None, /, **options: Any) -> Any:
    if function is None or not _shares or not _is_ours(function):
        return _jit(function, **options) if function is not None else _jit(**options)
    # How it is compiled is no part of what jax knows a program by.
    how = jax.config.read("jax_disable_most_optimizations")
    try:
        key = _made_of(function), how, tuple(sorted((k, _option(v)) for k, v in options.items()))
        hash(key)
    except (_Unknown, TypeError):
        return _jit(function, **options)
    with _lock:
        if key not in _kept:
            _kept[key] = _jit(function, **options)
        _kept.move_to_end(key)
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
        return _kept[key]


def _is_ours(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, types.MethodType):
        return type(function.__self__).__module__.startswith(_OURS)
    return isinstance(function, types.FunctionType) and function.__module__.startswith(_OURS)


def _option(value: Any) -> Hashable:
    leaves, structure = jax.tree.flatten(value)
    return structure, tuple(map(_made_of, leaves))


def _made_of(thing: Any) -> Hashable:
    """Return what tells a thing from others, down to what its functions have captured.

    Raises:
        _Unknown: it may change, or what it computes with cannot be seen.
    """
    kind = type(thing)
    if isinstance(thing, _VALUES):
        return kind, repr(thing)  # 1, 1.0 and True are three things
    if isinstance(thing, _AS_THEY_ARE):
        return thing
    if isinstance(thing, _IDENTICAL):
        return _Same(thing)
    if isinstance(thing, Mapping):
        return kind, _named(thing)
    if isinstance(thing, (tuple, frozenset)):
        return kind, tuple(map(_made_of, thing))
    if isinstance(thing, types.MethodType):
        return kind, _made_of(thing.__func__), _made_of(thing.__self__)
    if isinstance(thing, functools.partial):
        return kind, *map(_made_of, (thing.func, *thing.args)), _named(thing.keywords)
    if isinstance(thing, types.FunctionType):
        return _function(thing)
    if isinstance(thing, nn.Module) and thing.parent is not None:
        raise _Unknown(kind)
    if isinstance(thing, nn.Module) or _is_frozen(kind):
        fields = [field.name for field in dataclasses.fields(thing) if field.compare]
        return kind, _named({name: getattr(thing, name) for name in fields if name != "parent"})
    if kind.__module__.startswith(_OURS):
        return kind, _named(vars(thing))
    raise _Unknown(kind)


def _is_frozen(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen


def _function(function: types.FunctionType) -> Hashable:
    try:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError as error:  # a cell that is empty so far
        raise _Unknown(function) from error
    captured = tuple(map(_made_of, (*cells, function.__defaults__, function.__kwdefaults__)))
    # Its code is equal to that of the same lines loaded again, its globals are not.
    return function.__code__, _Same(function.__globals__), captured


def _named(things: Mapping[Any, Any]) -> Hashable:
    return tuple((name, _made_of(value)) for name, value in things.items())


class _Same:
    """Equal to what is the same thing, which it keeps."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)
