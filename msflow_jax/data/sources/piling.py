"""Images that come one by one, to one array: in memory, or in a nameless file where they are many."""

import tempfile
from typing import IO

import numpy as np

IN_MEMORY = 1 << 28  # bytes of images beyond which they lie in a file


class Pile:
    """Collects images of one shape.

    Beyond ``most`` bytes they are written to a temporary file that has no name and is gone with the
    process, and the array is a map of it: memory stays flat, however many there are, unless the folder
    of temporary files (``TMPDIR``) itself lies in memory.

    Args:
        most: bytes that are kept in memory.
    """

    def __init__(self, most: int = IN_MEMORY):
        self._most, self._count, self._bytes = most, 0, 0
        self._images: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._like = np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return self._count

    def add(self, image: np.ndarray) -> None:
        """Takes one more.

        Raises:
            ValueError: it has another shape or type than the first.
            OSError: the disk of temporary files is full.
        """
        if not self._count:
            self._like = np.zeros_like(image)
        if (image.shape, image.dtype) != (self._like.shape, self._like.dtype):
            raise ValueError(
                f"an image of {image.dtype} {image.shape} among those of {self._like.dtype} "
                f"{self._like.shape}"
            )
        self._count += 1
        self._bytes += image.nbytes
        self._images.append(image)
        if self._bytes > self._most:
            try:
                self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
                for one in self._images:
                    self._file.write(np.ascontiguousarray(one).tobytes())
            except OSError as error:
                place = f"{tempfile.gettempdir()} (TMPDIR names another)"
                raise OSError(error.errno, error.strerror, place) from error
            self._images = []

    def array(self) -> np.ndarray:
        """All of them ``[N, ...]``; of a file a map that can only be read."""
        if self._file is None:
            return np.stack(self._images)
        self._file.flush()
        shape = (self._count, *self._like.shape)
        return np.memmap(self._file, self._like.dtype, "r", shape=shape)
