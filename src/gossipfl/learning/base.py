"""The frozen base model that all nodes share, as loaded: `gossipfl.learning.models` makes it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from gossipfl.learning.data.images import ImageReader


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model of transformers, of plain torch or a builtin one, with its tokenizer, before an adapter is attached.

    Attributes:
        module: the model in evaluation mode, every dropout of its own at 0; nothing requires a gradient.
        tokenizer: its tokenizer, which has a pad token; None for a model of images, and for a builtin
            one, which reads numbers.
        sha256: hash of the files with the base weights, of a plain model's tensors, or of a builtin model's definition;
            equal on all nodes.
        source: `model.source`, a path made absolute: it finds the model from any folder.
        folder: local folder the weights were read from; None for a plain or builtin model.
        head: the parameters of the classification head, by name, fp32; empty for `causal-lm`, and for a builtin model,
            of which all is trained alike.
        drawn: parameters of the body that the weight files lack (a pooler, say): drawn from the seed, never trained.
        head_sha256: hash of all that was drawn from the seed, as every node must have it at the start; empty for none.
        images: the image processor of a model of images.
    """

    module: nn.Module
    tokenizer: "PreTrainedTokenizerBase | None"
    sha256: str
    source: str
    folder: Path | None
    head: Mapping[str, nn.Parameter]
    drawn: Mapping[str, nn.Parameter]
    head_sha256: str
    images: "ImageReader | None" = None


def parameters_sha256(parameters: Mapping[str, nn.Parameter]) -> str:
    """SHA-256 over names, shapes and fp32 values, as hex; empty for no parameters."""
    return tensors_sha256(parameters) if parameters else ""


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and fp32 values, as hex."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().float().cpu().numpy().astype("<f4").tobytes())
    return digest.hexdigest()
