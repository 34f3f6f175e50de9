"""Bases that are larger than one GPU's memory in fp32: fewer bits a weight, or layers on several GPUs.

    quantization int8    LLM.int8(): 1 byte a weight                         Dettmers et al. (2208.07339)
    quantization nf4     QLoRA's normal floats in blocks of 64: .56 bytes    Dettmers et al. (2305.14314)
    device_map auto      accelerate puts layers on one GPU after the other, and moves what goes from one to the next

Either way weights go to their GPU as they are read, and are not moved afterwards.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from gossipfl.config.experiment import ModelConfig
from gossipfl.errors import ConfigError, ModelError


def is_placed(model: ModelConfig) -> bool:
    """Whether weights are where they belong when they are loaded."""
    return model.quantization != "none" or _spreads(model)


def refuse_quantization(model: ModelConfig) -> None:
    """Whether this machine can quantize; to be asked before anything is loaded.

    Raises:
        ConfigError: quantization is wished, and there is no CUDA GPU or no bitsandbytes.
    """
    if model.quantization == "none":
        return
    if not torch.cuda.is_available():
        raise ConfigError(
            f"model.quantization: {model.quantization} needs a CUDA GPU, and torch finds none on this machine; "
            "nothing was loaded: set none"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"model.quantization: {model.quantization} needs bitsandbytes: pip install 'gossipfl[quantization]'"
        )


def loading_options(model: ModelConfig) -> dict[str, Any]:
    """What `from_pretrained` is told beside the type; nothing for a base that is moved to its device later."""
    if not is_placed(model):
        return {}
    place: object = "auto" if _spreads(model) else {"": torch.cuda.current_device()}
    if model.quantization == "none":
        return {"device_map": place}
    from transformers import BitsAndBytesConfig  # noqa: PLC0415  # nobody else needs it

    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": getattr(torch, model.dtype)}
    config = BitsAndBytesConfig(**(four if model.quantization == "nf4" else {"load_in_8bit": True}))
    return {"device_map": place, "quantization_config": config}


def refuse_offload(module: nn.Module) -> None:
    """Whether every layer is where it can be trained.

    Raises:
        ModelError: accelerate has left some in the machine's memory or on its disk, for want of room.
    """
    placed: Mapping[str, object] = getattr(module, "hf_device_map", {})
    outside = [name for name, device in placed.items() if str(device) in {"cpu", "disk"}]
    if outside:
        raise ModelError(
            f"model.device_map: the GPUs have no room for {len(outside)} of {len(placed)} parts, first {outside[0]}: "
            "set model.quantization nf4 or model.dtype bfloat16"
        )


@contextmanager
def loading_on(device: torch.device, model: ModelConfig) -> Iterator[None]:
    """While it lasts a base that is placed as it is loaded goes to a device.

    Raises:
        ConfigError: the device is no GPU.
    """
    if not is_placed(model):
        yield
        return
    refuse_quantization(model)
    if device.type != "cuda":
        raise ConfigError(
            f"training.device: {device} cannot train a base of model.quantization {model.quantization} and "
            f"model.device_map {model.device_map}"
        )
    with torch.cuda.device(device):
        yield


def _spreads(model: ModelConfig) -> bool:
    # with one GPU or none there is nothing to spread over
    return model.device_map == "auto" and torch.cuda.device_count() > 1
