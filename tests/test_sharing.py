"""What tests share: programs of networks that are equal in all that a program is made of."""

import dataclasses
import types

import flax.linen as nn
import jax
import pytest

import charrnn_core.network.network
from charrnn_core.cell import as_cell
from charrnn_core.network.network import Network
from tests import sharing
from tests.sharing import apart

NETWORK = Network(as_cell(nn.GRUCell(4)), symbols=6)
pytestmark = pytest.mark.skipif(jax.jit is not sharing._shared_jit, reason="nothing is shared")


def test_a_network_that_is_equal_has_the_same_programs():
    same = Network(as_cell(nn.GRUCell(4)), symbols=6)
    assert same.compiled_init is NETWORK.compiled_init
    others = [
        dataclasses.replace(NETWORK, symbols=7),
        dataclasses.replace(NETWORK, embedding=True),  # equal to 1, and not the same
        dataclasses.replace(NETWORK, embedding=1),
        dataclasses.replace(NETWORK, cell=as_cell(nn.GRUCell(5))),
        dataclasses.replace(NETWORK, cell=as_cell(nn.GRUCell(4, gate_fn=nn.tanh))),
    ]
    assert len({id(network.compiled_init) for network in (NETWORK, *others)}) == 6


def test_a_test_that_changes_the_core_has_programs_of_its_own():
    with apart():
        assert dataclasses.replace(NETWORK).compiled_init is not NETWORK.compiled_init
    assert dataclasses.replace(NETWORK).compiled_init is NETWORK.compiled_init


def of_the_core(code: str, **captured: object) -> types.FunctionType:
    """A function as if the core had made it, which has captured these."""
    names = vars(charrnn_core.network.network)
    exec(f"def make({', '.join(captured)}):\n    return lambda x: {code}", names, found := {})
    return found["make"](**captured)


def test_what_a_function_has_captured_tells_it_apart():
    one, same, other = (jax.jit(of_the_core("x + n", n=n)) for n in (1, 1, 2))
    assert one is same is not other
    assert jax.jit(of_the_core("x - n", n=1)) is not one
    assert jax.jit(of_the_core("x + n", n=1), static_argnums=0) is not one
    things: list[int] = []  # may be another by the time it is traced
    assert jax.jit(of_the_core("x + len(n)", n=things)) is not jax.jit(
        of_the_core("x + len(n)", n=things)
    )
