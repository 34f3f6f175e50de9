"""Loads the base model: any transformers model, for classification or causal language modelling."""

from pathlib import Path

from gossipfl.config.experiment import ModelConfig, TaskConfig
from gossipfl.learning.base import BaseModel

__all__ = ["BaseModel", "load_base"]


def load_base(model: ModelConfig, task: TaskConfig, *, folder: Path, seed: int) -> BaseModel:
    """The base model of an experiment, frozen, with its tokenizer and (for classification) its head from the seed.

    Args:
        folder: where experiment.yaml lies; a relative path in `model.source` starts there.

    Raises:
        ModelError: the source is unknown or does not fit the task.
    """
    raise NotImplementedError
