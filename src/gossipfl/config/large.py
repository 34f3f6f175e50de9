"""What large models need, and what does not go with it: layers that run again, are on many devices, have few bits."""

from gossipfl.config.model import AdapterConfig, ModelConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig


def check_large(model: ModelConfig, training: TrainingConfig, adapter: AdapterConfig, privacy: PrivacyConfig) -> None:
    """Returns if sections go together.

    Raises:
        ValueError: they do not, and why.
    """
    if model.keep_below and privacy.level != "none" and not privacy.public_data:
        raise ValueError(
            "model.keep_below keeps what is made of the records in the cache folder, which no account covers: it "
            "is for public data, privacy.public_data true was expected"
        )
    if training.gradient_checkpointing:
        _check_again(model, privacy)
    if model.device_map == "auto" and privacy.noises_steps:
        raise ValueError(
            "model.device_map auto: the gradients of single examples (privacy.level example) are collected on one "
            "device; set one, with model.quantization nf4 where the model is too large, or privacy.level update"
        )
    if model.quantization != "none":
        _check_quantized(model.quantization, adapter, privacy)


def _check_again(model: ModelConfig, privacy: PrivacyConfig) -> None:
    if model.own_form:
        raise ValueError(f"training.gradient_checkpointing is for models of transformers, not {model.source}")
    if privacy.noises_steps and privacy.engine == "hooks":
        raise ValueError(
            "training.gradient_checkpointing runs layers twice, which privacy.engine hooks takes for two uses: "
            "set engine grouped or auto"
        )


def _check_quantized(quantization: str, adapter: AdapterConfig, privacy: PrivacyConfig) -> None:
    if quantization == "int8" and privacy.noises_steps:
        raise ValueError(
            "model.quantization int8 treats a feature otherwise where any record of the batch has an outlier: one "
            "record changes what others compute, and privacy.level example bounds each by itself: set nf4"
        )
    if adapter.kind == "full" or adapter.merge in {"exact", "stack"}:
        raise ValueError(f"model.quantization {quantization}: weights of the base cannot change: set adapter.kind lora")
    if adapter.kind == "core" and adapter.basis is None:
        raise ValueError(
            f"model.quantization {quantization}: adapter.kind core takes its basis from the unquantized weights: "
            "let gossipfl init write adapter.basis first"
        )
