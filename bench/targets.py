"""State what a figure of ours is to reach, and whether it does."""

from collections.abc import Mapping
from dataclasses import dataclass

OURS = "ours"


@dataclass(frozen=True)
class Target:
    """Bound our figure: its ratio to that of a column, or without a column itself."""

    limit: float
    column: str = ""
    at_least: bool = False
    name: str = ""  # Of the column in this row, if it differs from the heading.

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        if not self.column:
            return f"{sign} {self.limit:g}"
        return f"{sign} {self.limit:.2f} × {self.name or self.column}"

    def verdict(self, figures: Mapping[str, float]) -> str:
        """Return `yes` or `no`, or `?` without the figures."""
        if OURS not in figures or (self.column and self.column not in figures):
            return "?"
        reached = figures[OURS] / (figures[self.column] if self.column else 1)
        return (
            "yes" if (reached >= self.limit if self.at_least else reached <= self.limit) else "no"
        )
