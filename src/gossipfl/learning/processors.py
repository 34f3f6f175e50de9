"""The image processor that comes with a model of images: how large it wants them, and what is black."""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoImageProcessor, PretrainedConfig

from gossipfl.errors import DataError, ModelError
from gossipfl.learning.data.images import ImageReader


def read_processor(folder: Path, source: str, config: PretrainedConfig) -> ImageReader:
    """The processor in a model's folder, tried on an image.

    Args:
        source: `model.source`, for messages.
        config: of the model.

    Raises:
        ModelError: there is none, it takes images of neither one nor three channels, or gives a size that the model
            does not take.
    """
    try:
        # with torchvision, where it is installed, other pixels would come out than on nodes without
        processor: Any = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
    # whatever transformers makes of missing or damaged files
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"model.source: {source!r} has no image processor that can be read: {reason}") from error
    channels = getattr(config, "num_channels", 3)
    if channels not in {1, 3}:
        raise ModelError(f"model.source: {source!r} takes images of {channels} channels; 1 or 3 were expected")
    reader = ImageReader(processor, channels)
    _try(reader, source, getattr(config, "image_size", None))
    return reader


def _try(reader: ImageReader, source: str, wanted: object) -> None:
    file = BytesIO()
    Image.new("RGB", (50, 40)).save(file, "PNG")
    try:
        height, width = reader.pixels([file.getvalue()]).shape[2:]
    except (DataError, ValueError, TypeError) as error:
        raise ModelError(f"model.source: the image processor of {source!r} fails at a black image: {error}") from error
    sizes = [wanted, wanted] if isinstance(wanted, int) else wanted
    if isinstance(sizes, list | tuple) and [height, width] != list(sizes):
        raise ModelError(
            f"model.source: the image processor of {source!r} makes images of {height} x {width}, its model takes "
            f"{sizes[0]} x {sizes[1]}"
        )
