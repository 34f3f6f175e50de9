"""A base whose linear layers are kept in 8 or 4 bits a weight, by bitsandbytes, on a CUDA GPU.

int8    LLM.int8(): 1 byte a weight                         Dettmers et al. (2208.07339)
nf4     QLoRA's normal floats in blocks of 64: 0.56 bytes   Dettmers et al. (2305.14314)
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from gossipfl.config.experiment import ModelConfig
from gossipfl.errors import ConfigError


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


def quantized_loading(model: ModelConfig) -> dict[str, Any]:
    """What `from_pretrained` is told; empty without quantization.

    Weights go to the current CUDA device as they are read: they cannot be moved afterwards.
    """
    if model.quantization == "none":
        return {}
    from transformers import BitsAndBytesConfig  # noqa: PLC0415  # nobody else needs it

    compute = getattr(torch, model.dtype)
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": compute}
    config = BitsAndBytesConfig(**(four if model.quantization == "nf4" else {"load_in_8bit": True}))
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}


@contextmanager
def loading_on(device: torch.device, model: ModelConfig) -> Iterator[None]:
    """While it lasts a quantized model is loaded to a device; others are loaded as always.

    Raises:
        ConfigError: the device is no GPU.
    """
    if model.quantization == "none":
        yield
        return
    refuse_quantization(model)
    if device.type != "cuda":
        raise ConfigError(f"training.device: {device} cannot train a base of model.quantization {model.quantization}")
    with torch.cuda.device(device):
        yield
