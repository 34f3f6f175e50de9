"""Gradient checkpointing: only what goes into a layer is kept, and the layer runs again in the backward pass.

It is torch's non-reentrant kind, which needs no input that requires a gradient: embeddings stay frozen as they are.
"""

import warnings
from collections.abc import Callable

from torch import nn

from gossipfl.errors import ConfigError, PrivacyError


def checkpoint_activations(module: nn.Module) -> None:
    """Makes a model of transformers compute its layers' activations again in every backward pass.

    Raises:
        ConfigError: it knows no such thing.
    """
    if not getattr(module, "supports_gradient_checkpointing", False):
        raise ConfigError(
            f"training.gradient_checkpointing: a {type(module).__name__} cannot compute its activations again"
        )
    enable: Callable[..., None] = module.gradient_checkpointing_enable  # type: ignore[assignment]
    with warnings.catch_warnings():
        # its next name is not there in every version
        warnings.simplefilter("ignore", FutureWarning)
        enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def refuse_hooks(module: nn.Module, engine: str) -> None:
    """Whether the engine of unit gradients bears a layer that runs twice.

    The grouped engine does: gradients are collected in the one backward pass. The hooks of Opacus note what goes into a
    layer at every run, and would take the second for another use of it.

    Raises:
        PrivacyError: it does not.
    """
    runs_again = any(getattr(layer, "gradient_checkpointing", False) for layer in module.modules())
    if engine == "hooks" and runs_again:
        raise PrivacyError(
            "training.gradient_checkpointing needs privacy.engine grouped, which this model's trained layers do not "
            "suit, or hooks was asked for: set gradient_checkpointing false and a smaller micro_batch"
        )
