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
def between(source: Points, target: Points) -> Matrix:
    """Return the matrix from the linear RGB of one space to that of another."""
    return _multiply(_invert(to_d50(target)), to_d50(source))


@lru_cache
def to_d50(points: Points) -> Matrix:
    """Return the matrix from linear RGB to XYZ under D50."""
    return _multiply(adapt_to_d50(points[3]), to_xyz(points))


@lru_cache
def to_xyz(points: Points) -> Matrix:
    """Return the matrix from linear RGB to XYZ under the white of the space."""
    *colors, white = (xyz(point) for point in points)
    columns = list(zip(*colors, strict=True))
    red, green, blue = _apply(_invert(columns), white)
    return [[row[0] * red, row[1] * green, row[2] * blue] for row in columns]


def adapt_to_d50(white: Row) -> Matrix:
    """Return Bradford's matrix from XYZ under a white to XYZ under D50."""
    source, target = _apply(_BRADFORD, xyz(white)), _apply(_BRADFORD, xyz(D50))
    scaled = [
        [part * after / before for part in row]
        for row, before, after in zip(_BRADFORD, source, target, strict=True)
    ]
    return _multiply(_invert(_BRADFORD), scaled)


def xyz(point: Row) -> Row:
    """Return the XYZ of a chromaticity, with a luminance of 1."""
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _apply(matrix: Matrix, color: Row) -> Row:
    return [sum(a * b for a, b in zip(row, color, strict=True)) for row in matrix]


def _multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = [_apply(left, column) for column in zip(*right, strict=True)]
    return list(zip(*columns, strict=True))


def _invert(matrix: Matrix) -> Matrix:
    """Invert a matrix of 3 by 3. Raises ZeroDivisionError."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return [[part / determinant for part in row] for row in adjugate]
