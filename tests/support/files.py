"""Files in memory that count what is read of them."""

import io


class CountingFile(io.BytesIO):
    """Count what is read of a file."""

    reads = bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.reads, self.bytes_read = self.reads + 1, self.bytes_read + len(data)
        return data
