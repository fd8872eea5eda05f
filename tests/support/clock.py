"""The clock of an application, the only thing that tests fake."""

from time import time


class Clock:
    """Return the time, ahead of the real one by as much as it was advanced."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time() + self._ahead

    def advance(self, seconds: float = 0, hours: float = 0) -> None:
        """Advance the clock."""
        self._ahead += seconds + hours * 3600
