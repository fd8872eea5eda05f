"""The clock of an application, the only thing that tests fake."""

from time import time


class Clock:
    """Return the time, ahead of the real one by as much as it was advanced."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._stopped: float | None = None

    def __call__(self) -> float:
        return (time() if self._stopped is None else self._stopped) + self._ahead

    def advance(self, seconds: float = 0, hours: float = 0) -> None:
        """Advance the clock."""
        self._ahead += seconds + hours * 3600

    def stop(self, moment: float | None = None) -> None:
        """Stop the clock at a moment, by default the present one."""
        self._stopped, self._ahead = self() if moment is None else moment, 0.0
