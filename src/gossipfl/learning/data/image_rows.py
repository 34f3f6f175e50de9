"""Rows of images.

ImageRows     pixel_values (rows, channels, height, width), labels (rows,)     decoded when a micro-batch is asked for
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data.content import Places
from gossipfl.learning.data.images import ImageReader


@dataclass(frozen=True, slots=True)
class ImageRows:
    """Encoded images: as many numbers as a model takes of one (150,528 at 224 x 224) are in memory for few at a time.

    Attributes:
        images: encoded.
        labels: (rows,) int64 class of each row.
        reader: of the model.
    """

    images: tuple[bytes, ...]
    labels: NDArray[np.int64]
    reader: ImageReader

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.labels)

    @property
    def cut(self) -> int:
        """None."""
        return 0

    def order(self, firsts: Places, ends: Places) -> Places:  # noqa: ARG002  (rows are equally large)
        """As they come."""
        return np.arange(len(firsts))

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`; at least one row."""
        pixels = self.reader.pixels([self.images[row] for row in rows])
        return {"pixel_values": pixels, "labels": self.labels[rows]}
