"""Programs on their way to XLA, many thousands in a process of tests."""

import jax


def in_one_context() -> None:
    """Have jax lower every program of this process in the same MLIR context.

    A context of its own for each, as jax makes it, is a seventh of what tests compute, and more
    than a megabyte each that stays for as long as the program. What is lowered is the same. A jax
    that makes contexts elsewhere goes on as it does.
    """
    try:
        from jax._src.interpreters import mlir

        make_ir_context = mlir.make_ir_context
    except (ImportError, AttributeError):
        return
    context = make_ir_context()
    mlir.make_ir_context = lambda: context
    # Dialects that XLA needs are loaded by the first program, before there are other threads.
    jax.block_until_ready(jax.jit(lambda x: x + 1)(0.0))
