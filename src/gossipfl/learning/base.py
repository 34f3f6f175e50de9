"""The frozen base model that all nodes share, as loaded: `gossipfl.learning.models` makes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A transformers model with its tokenizer, before an adapter is attached.

    Attributes:
        module: the `transformers` model in evaluation mode, every dropout of its own at 0; nothing requires a gradient.
        tokenizer: its tokenizer; it has a pad token.
        sha256: hash of the files with the base weights, equal on all nodes.
        source: `model.source`, a path made absolute: it finds the model from any folder.
        folder: local folder the weights were read from.
        head: the parameters of the classification head, by name, fp32; empty for `causal-lm`.
        drawn: parameters of the body that the weight files lack (a pooler, say): drawn from the seed, never trained.
        head_sha256: hash of head and drawn parameters as every node must have them at the start; empty for none.
    """

    module: nn.Module
    tokenizer: PreTrainedTokenizerBase
    sha256: str
    source: str
    folder: Path
    head: Mapping[str, nn.Parameter]
    drawn: Mapping[str, nn.Parameter]
    head_sha256: str
