"""Loads the base model: any of transformers, a language model of the user's own in plain torch, or a builtin one."""

from pathlib import Path

from gossipfl.config.experiment import ModelConfig, TaskConfig
from gossipfl.importing import quick_import
from gossipfl.learning.base import BaseModel
from gossipfl.learning.builtin import build_builtin

__all__ = ["BaseModel", "load_base"]


def load_base(model: ModelConfig, task: TaskConfig, *, folder: Path, seed: int) -> BaseModel:
    """The base model of an experiment, frozen, with its tokenizer and (for classification) its head from the seed.

    Args:
        folder: where experiment.yaml lies; a relative path in `model.source` starts there.

    Guarantees:
        Neither uses nor changes torch's global generators. A head that the weight files hold, with as many labels,
        is kept.

    Raises:
        ModelError: the source is unknown or does not fit the task.
    """
    if model.builtin is not None:
        return build_builtin(model, task, seed=seed)
    quick_import("gossipfl.learning.pretrained")
    if model.plain:
        from gossipfl.learning.plain import load_plain  # noqa: PLC0415  # as below

        return load_plain(model, folder=folder, seed=seed)
    # seconds to import, and a builtin model does without
    from gossipfl.learning.pretrained import load_pretrained  # noqa: PLC0415

    return load_pretrained(model, task, folder=folder, seed=seed)
