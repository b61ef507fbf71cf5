"""The orthogonal factor of many matrices at once, from a few products."""

from collections.abc import Iterator
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

_LEAST = 0.02
"""The least singular value, as a share of the largest, that comes close to 1: half of those of an
LSTM's momentum are larger. Smaller ones grow in proportion, about 25 times in two steps."""

_TINY = 1e-20
"""A matrix whose norm is less counts as zero: the squares of such numbers are zero in float32."""

_LEAST_NORM = 1e-12
"""Less than ``||A A||`` of any X of norm 1 with fewer than a hundred million rows."""


def polar_factors(matrices: jax.Array, steps: int) -> jax.Array:
    """Return about ``U V^T`` for each ``X = U S V^T``: X with its singular values moved close to 1.

    ``X <- a X + (b A + c A A) X`` with ``A = X X^T`` changes each singular value s into
    ``a s + b s^3 + c s^5``. The first step divides X by ``||A A||^(1/4)``, the 8-norm of the
    singular values, which is at least the largest and for a momentum 1 to 13 percent more, where
    the Frobenius norm is twice to three times as large.

    Arguments:
        matrices: float[N,rows,columns]; few rows make cheap products, so turn tall matrices.
        steps: how many polynomials follow each other, 3 products of each matrix for each.

    Returns:
        float[N,rows,columns]; zero where a matrix is zero.

    Source: Jordan et al., Muon, 2024, https://kellerjordan.github.io/posts/muon/.

    >>> polar_factors(jnp.array([[[3.0, 0.0], [0.0, -2.0]]]), steps=5).round(3).tolist()
    [[[1.0, 0.0], [0.0, -1.0]]]
    """
    X = matrices / jnp.maximum(_norm(matrices), _TINY)
    for step, (a, b, c) in enumerate(islice(polynomials(_LEAST), steps)):
        A = X @ X.mT
        AA = A @ A
        if not step:
            scale = 1 / jnp.maximum(_norm(AA), _LEAST_NORM) ** 0.25
            a, b, c = a * scale, b * scale**3, c * scale**5
        X = a * X + (b * A + c * AA) @ X
    return X


def _norm(matrices: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(matrices**2, axis=(-2, -1), keepdims=True))


def polynomials(least: float) -> Iterator[tuple[float, float, float]]:
    """Yield ``a, b, c`` of polynomials that, one after the other, bring [least, 1] closest to 1.

    Each ``a s + b s^3 + c s^5`` has the smallest largest distance to 1 on the interval on which the
    one before left the numbers.

    Source: Amsel et al., The Polar Express, 2025, arXiv 2505.16932.

    >>> a, b, c = next(polynomials(0.02))
    >>> round(a + b + c, 2)  # as far from 1 as the smallest number, and above it
    1.85
    """
    most = 1.0
    while True:
        a, b, c = _closest_to_one(least, most)
        yield a, b, c
        least = a * least + b * least**3 + c * least**5
        most = 2 - least


def _closest_to_one(least: float, most: float) -> tuple[float, float, float]:
    """Return the odd polynomial of degree 5 that is closest to 1 from `least` to `most`.

    Its error alternates between four points, which Remez's exchange finds.
    """
    if most - least < 1e-5:  # float32 does not see what is better than Taylor's series
        return 15 / 8, -10 / 8, 3 / 8
    points = np.linspace(least, most, 5)[[0, 1, 3, 4]]
    for _ in range(20):
        a, b, c = _alternating(points)
        root = (9 * b * b - 20 * a * c) ** 0.5
        points[1:3] = ((-3 * b - root) / (10 * c)) ** 0.5, ((-3 * b + root) / (10 * c)) ** 0.5
    return _alternating(points)


def _alternating(points: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return a, b and c for which the error at four points has one size and alternating signs."""
    powers = [points, points**3, points**5, [1.0, -1.0, 1.0, -1.0]]
    a, b, c, _ = np.linalg.solve(np.stack(powers, 1), np.ones(4))
    return float(a), float(b), float(c)
