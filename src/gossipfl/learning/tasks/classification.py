"""One label a row: loss(row) = −log p(label)."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gossipfl.learning.tasks.f1 import OF_CLASSES
from gossipfl.learning.tasks.seam import Kind, Tensors


def _of_text(module: nn.Module, tensors: Tensors) -> Tensor:
    logits: Tensor = module(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"]).logits
    return logits


def _of_numbers(module: nn.Module, tensors: Tensors) -> Tensor:
    logits: Tensor = module(tensors["features"])
    return logits


def _of_images(module: nn.Module, tensors: Tensors) -> Tensor:
    pixels = tensors["pixel_values"]
    # a model of images does not bring them to its own type itself
    logits: Tensor = module(pixel_values=pixels.to(next(module.parameters()).dtype)).logits
    return logits


def class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(rows,) of (rows, classes)."""
    return F.cross_entropy(logits.float(), labels, reduction="none")


def count_classes(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One answer a row."""
    return torch.ones_like(labels), (logits.argmax(-1) == labels).long()


SEQUENCE = Kind(
    _of_text,
    class_losses,
    count_classes,
    "AutoModelForSequenceClassification",
    "SEQ_CLS",
    has_head=True,
    measuring=OF_CLASSES,
)
VECTOR = Kind(_of_numbers, class_losses, count_classes, measuring=OF_CLASSES)
IMAGE = Kind(
    _of_images,
    class_losses,
    count_classes,
    "AutoModelForImageClassification",
    has_head=True,
    measuring=OF_CLASSES,
    reads_images=True,
)
