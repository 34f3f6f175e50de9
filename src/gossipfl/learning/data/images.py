"""Images as records hold them: encoded bytes, looked through once when they are read, decoded again for a micro-batch.

    bytes ──header: format, size, mode──> pixels (height, width, 3) uint8 ──the model's own processor──> (3, h, w) fp32

Bytes may come from anybody: what the header says is checked before a pixel is decoded.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gossipfl.errors import DataError

if TYPE_CHECKING:
    from transformers.image_processing_utils import BaseImageProcessor

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Those that are read; others start programs or are read by code that few people use."""
MOST_PIXELS = 1 << 25
"""Of one image: 100 MB when it is decoded, whatever few bytes it came in."""
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
"""Eight bits a channel at most: what has more would be cut off, not scaled."""
_COLORS = {1: "L", 3: "RGB"}
"""Pillow's mode by number of channels."""


@dataclass(frozen=True, slots=True)
class ImageReader:
    """A model's own image processor, in the place of a tokenizer.

    Attributes:
        processor: of transformers, computing with Pillow and numpy: the same on every machine.
        channels: that the model takes, 3 or 1.
    """

    processor: "BaseImageProcessor"
    channels: int = 3

    def pixels(self, images: Sequence[bytes]) -> NDArray[np.float32]:
        """(images, channels, height, width) as the model takes them; at least one image.

        Raises:
            DataError: one cannot be decoded, or they do not come to one size.
        """
        decoded = [decode(image, self.channels) for image in images]
        found = self.processor(decoded, return_tensors=None, input_data_format="channels_last")["pixel_values"]
        shapes = {np.shape(image) for image in found}
        if len(shapes) > 1:
            raise DataError(f"the model's image processor brings images to several sizes: {sorted(shapes)[:2]}")
        return np.stack(found).astype(np.float32, copy=False)


def decode(data: bytes, channels: int = 3) -> NDArray[np.uint8]:
    """(height, width, channels) of an encoded image, turned as it says it is to be seen; transparency is left out.

    Raises:
        DataError: it is none, cut off, too large, of several pictures, or has more than eight bits a channel.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check(image)
            seen = ImageOps.exif_transpose(image).convert(_COLORS[channels])
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"an image has more than the {MOST_PIXELS} pixels that are decoded") from error
    # whatever Pillow's readers make of bytes that were made to break them
    except Exception as error:
        reason = "it is none, or not one of " + ", ".join(FORMATS) if isinstance(error, OSError) else "it is damaged"
        said = str(error).split("\n", 1)[0]
        raise DataError(f"an image cannot be read: {said if 'truncated' in said else reason}") from error
    pixels: NDArray[np.uint8] = np.asarray(seen, np.uint8).reshape(seen.height, seen.width, channels)
    return pixels


def pixels_sha256(data: bytes) -> bytes:
    """Of what is seen, not of the bytes: an image that was saved anew without loss is the same image.

    Raises:
        DataError: see `decode`.
    """
    pixels = decode(data)
    height, width, _ = pixels.shape
    return hashlib.sha256(f"{height} x {width}\x1e".encode() + pixels.tobytes()).digest()


def drawn(shades: NDArray[np.float32]) -> bytes:
    """A PNG of (height, width) shades from 0 to 1, black to white.

    Raises:
        DataError: one is outside.
    """
    if not (shades.min() >= 0 and shades.max() <= 1):
        raise DataError("numbers that make an image lie between 0 and 1")
    file = BytesIO()
    Image.fromarray(np.rint(shades * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _check(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise DataError(f"an image of {width} x {height} pixels is beyond the {MOST_PIXELS} that are decoded")
    if image.mode not in _MODES:
        raise DataError(f"an image has Pillow's mode {image.mode!r}; eight bits a channel were expected")
    if (frames := getattr(image, "n_frames", 1)) != 1:
        raise DataError(f"an image file holds {frames} pictures, one was expected")
