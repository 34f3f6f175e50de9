"""Where training runs and in which type."""

import torch

from gossipfl.config.training import TrainingConfig
from gossipfl.errors import ConfigError


def choose_device(config: TrainingConfig) -> torch.device:
    """What `training.device` means on this machine.

    Raises:
        ConfigError: no such device here.
    """
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
        torch.empty(0, device=device)
    # what torch raises depends on how it was built
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n", 1)[0]
        # a node with values of its own
        where = "training.device" if config.common_steps is None else "the node's machine.device, or training.device"
        raise ConfigError(f"{where}: {config.device!r} cannot be used here: {reason}") from error
    return device


def autocast_type(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """The type of `training.precision` on a device; None computes in the type of the weights."""
    if config.precision == "bfloat16":
        return torch.bfloat16
    fits = config.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fits else None
