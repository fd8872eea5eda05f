"""Matrices between linear RGB and XYZ, from the chromaticities of a space."""

from collections.abc import Sequence
from functools import lru_cache

Row = Sequence[float]
Matrix = Sequence[Row]
Points = tuple[tuple[float, float], ...]  # Chromaticities (x, y) of red, green, blue and white.

D50 = (0.3457, 0.3585)  # The white of ICC profiles.
# From XYZ to the responses of the eye, in which colours are adapted to another white.
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@lru_cache
def to_d50(points: Points) -> Matrix:
    """Return the matrix from linear RGB to XYZ under D50."""
    return multiply(adapt(points[3]), to_xyz(points))


@lru_cache
def to_xyz(points: Points) -> Matrix:
    """Return the matrix from linear RGB to XYZ under the white of the space."""
    *colors, white = (xyz(point) for point in points)
    columns = list(zip(*colors, strict=True))
    ((red,), (green,), (blue,)) = multiply(invert(columns), [[part] for part in white])
    return [[row[0] * red, row[1] * green, row[2] * blue] for row in columns]


def adapt(white: Row) -> Matrix:
    """Return Bradford's matrix from XYZ under a white to XYZ under D50."""
    ratios = [
        to[0] / of[0]
        for to, of in zip(
            multiply(_BRADFORD, [[part] for part in xyz(D50)]),
            multiply(_BRADFORD, [[part] for part in xyz(white)]),
            strict=True,
        )
    ]
    scaled = [[ratio * part for part in row] for ratio, row in zip(ratios, _BRADFORD, strict=True)]
    return multiply(invert(_BRADFORD), scaled)


def xyz(point: Row) -> Row:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def multiply(left: Matrix, right: Matrix) -> Matrix:
    """Return the product of two matrices."""
    columns = list(zip(*right, strict=True))
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left
    ]


def invert(matrix: Matrix) -> Matrix:
    """Invert a matrix of 3 by 3. Raises ZeroDivisionError."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    scale = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return [[part / scale for part in row] for row in adjugate]
