"""One image, compared with what the peers make of it."""

from dataclasses import dataclass, field

AGREES = "agrees with at least one peer"
DIFFERS = "differs from all peers that open it"
ALONE = "opened by us alone"
REFUSED = "refused by us, opened by a peer"
REFUSED_BY_ALL = "refused by us and by all peers"
CRASHED = "crashed, timed out or failed in our sandbox"
STATUSES = (AGREES, DIFFERS, ALONE, REFUSED, REFUSED_BY_ALL, CRASHED)


@dataclass
class Compared:
    """What came of one image; differences are None where a peer did not open it."""

    file: str
    kind: str
    status: str = ""
    code: str = ""
    message: str = ""
    size: tuple[int, int] | None = None
    differences: dict[str, float | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """Return the difference to the nearest peer."""
        known = [value for value in self.differences.values() if value is not None]
        return min(known, default=0.0)
