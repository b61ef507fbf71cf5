"""Programs on their way to XLA, many thousands in a process of tests."""

import jax


def in_one_context() -> None:
    """Have jax lower the programs of this process in the same MLIR context.

    A context of its own for each, as jax makes it, is a tenth of what tests compute, and more than
    a megabyte that stays for as long as the program. What is lowered is the same. A program that
    is lowered amid another's lowering, where jax would put it into the other, has its own context
    still. A jax that makes contexts elsewhere goes on as it does.
    """
    try:
        from jax._src.interpreters import mlir

        make, current = mlir.make_ir_context, mlir.ir.Context
        context = make()
    except (ImportError, AttributeError):
        return

    def shared() -> object:
        return make() if current.current else context

    mlir.make_ir_context = shared
    # Dialects that XLA needs are loaded by the first program, before there are other threads.
    jax.block_until_ready(jax.jit(lambda x: x + 1)(0.0))
