"""A tiny model of images with random weights, in the folder that transformers writes, and images in files."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import ViTConfig, ViTModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from gossipfl.learning.quiet import quiet

DIGITS = tuple(str(digit) for digit in range(10))


def tiny_vit(folder: Path, *, channels: int = 1, size: int = 8, processed: int | None = None) -> Path:
    """Writes the folder.

    Args:
        size: of the images that the model takes.
        processed: to which the processor brings them; None: the same; 0: there is no processor.
    """
    config = ViTConfig(
        image_size=size,
        patch_size=size // 2,
        num_channels=channels,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(7)
        ViTModel(config).save_pretrained(folder)
    if processed != 0:
        side, half = processed or size, [0.5] * channels
        ViTImageProcessorPil(size={"height": side, "width": side}, image_mean=half, image_std=half).save_pretrained(
            folder
        )
    return folder


def encoded(pixels: NDArray[np.uint8], form: str = "PNG", mode: str = "RGB") -> bytes:
    """(height, width, 3) pixels as a file."""
    file = BytesIO()
    Image.fromarray(pixels, "RGB").convert(mode).save(file, form)
    return file.getvalue()


def noise(seed: int, height: int = 9, width: int = 12) -> NDArray[np.uint8]:
    """(height, width, 3) colors."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
