"""The machine's peak in GFLOP/s, measured with a large float32 matrix product in jax."""

import time

import jax
import jax.numpy as jnp
from turns import serve

N = 2048


def main() -> None:
    product = jax.jit(jnp.matmul)
    a, b = jax.random.normal(jax.random.key(0), (2, N, N))
    product(a, b).block_until_ready()

    def play() -> float:
        began, count = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < 0.5:
            product(a, b).block_until_ready()
            count += 1
        return count * 2 * N**3 / elapsed / 1e9

    serve(play)


if __name__ == "__main__":
    main()
