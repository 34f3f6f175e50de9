"""Any transformers model as base model, for classification or causal language modelling.

What the weight files lack (a new classification head, as a rule) is drawn from the experiment's seed, parameter by
parameter and apart from torch's generators: every node gets the same head, whatever ran before.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from gossipfl.config.experiment import ModelConfig, TaskConfig
from gossipfl.core.rng import generator
from gossipfl.errors import ModelError
from gossipfl.learning.base import BaseModel, parameters_sha256
from gossipfl.learning.placing import loading_options, refuse_offload, refuse_quantization
from gossipfl.learning.processors import read_processor
from gossipfl.learning.quiet import quiet
from gossipfl.learning.sources import locate
from gossipfl.learning.tasks import KINDS


def load_pretrained(model: ModelConfig, task: TaskConfig, *, folder: Path, seed: int) -> BaseModel:
    """What `gossipfl.learning.models.load_base` promises, for a model of transformers."""
    refuse_quantization(model)
    located = locate(model, folder=folder)
    # from_pretrained draws what the files lack before this module draws it again
    with quiet(), torch.random.fork_rng(devices=[]):
        images = KINDS[task.kind].reads_images
        tokenizer = None if images else ready_tokenizer(located.folder, model.source)
        module, missing = _module(located.folder, model, task)
        processor = read_processor(located.folder, model.source, module.config) if images else None
    if tokenizer is not None:
        _agree_on_padding(module, tokenizer)
    drawn = {name: parameter for name, parameter in module.named_parameters() if name in missing}
    kind = KINDS[task.kind]
    if drawn and not kind.has_head:
        raise ModelError(f"model.source: {model.source!r} has no weights for {min(drawn)}, which {task.kind} needs")
    if kind.peft_type == "SEQ_2_SEQ_LM" and getattr(module.config, "decoder_start_token_id", None) is None:
        raise ModelError(f"model.source: the config.json of {model.source!r} lacks decoder_start_token_id")
    head = _head(module) if kind.has_head else {}
    _keep_in_fp32(module, head)
    rounded = getattr(torch, model.head_dtype or model.dtype)
    _draw(drawn, seed=seed, deviation=getattr(module.config, "initializer_range", 0.02), rounded=rounded)
    return BaseModel(
        module=module.requires_grad_(requires_grad=False).eval(),
        tokenizer=tokenizer,
        sha256=located.sha256,
        source=located.source,
        folder=located.folder,
        head=head,
        drawn={name: parameter for name, parameter in drawn.items() if name not in head},
        head_sha256=parameters_sha256({**head, **drawn}),
        images=processor,
    )


def empty_model(model: ModelConfig, task: TaskConfig, folder: Path) -> tuple[nn.Module, Mapping[str, nn.Parameter]]:
    """The model as `load_pretrained` would load it, from its configuration alone, and its head.

    For the device or mode that it is called under. Its values are not drawn: some families (ViT) look at them for that.

    Raises:
        ModelError: the configuration fits no model of the task.
    """
    try:
        with quiet(), torch.random.fork_rng(devices=[]), no_init_weights():
            maker = getattr(transformers, KINDS[task.kind].model_class)
            module = maker.from_config(_configuration(folder, task), dtype=getattr(torch, model.dtype))
            # as it does with the values
            module.tie_weights()
    # whatever transformers makes of an unknown architecture, or a family's code of tensors without values
    except Exception as error:
        raise ModelError(
            f"model.source: {model.source!r} cannot be built without weights for {task.kind}: {_first_line(error)}"
        ) from error
    return module, _head(module) if KINDS[task.kind].has_head else {}


def ready_tokenizer(folder: Path, source: str) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder; it has a pad token.

    Raises:
        ModelError: there is none, or it has no token to pad with.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # whatever a tokenizer's own reader makes of missing or damaged files
    except Exception as error:
        raise ModelError(f"model.source: {source!r} has no tokenizer that can be read: {_first_line(error)}") from error
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ModelError(
                f"model.source: the tokenizer of {source!r} has neither a pad token nor an eos token: set pad_token "
                "in its tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _module(folder: Path, model: ModelConfig, task: TaskConfig) -> tuple[nn.Module, Collection[str]]:
    """The model, and the names of what its files lack."""
    try:
        module, report = getattr(transformers, KINDS[task.kind].model_class).from_pretrained(
            folder,
            config=_configuration(folder, task),
            dtype=getattr(torch, model.dtype),
            ignore_mismatched_sizes=KINDS[task.kind].has_head,
            output_loading_info=True,
            local_files_only=True,
            **loading_options(model),
        )
    # whatever transformers makes of an unknown architecture or damaged files
    except Exception as error:
        raise ModelError(
            f"model.source: {model.source!r} cannot be a {task.kind} model: {_first_line(error)}"
        ) from error
    refuse_offload(module)
    return module, {*report["missing_keys"], *(row[0] for row in report["mismatched_keys"])}


def _configuration(folder: Path, task: TaskConfig) -> PretrainedConfig:
    labels: dict[str, Any] = {}
    if KINDS[task.kind].has_head:
        labels["id2label"] = dict(enumerate(task.labels))
        labels["label2id"] = {label: position for position, label in enumerate(task.labels)}
    configuration = AutoConfig.from_pretrained(folder, local_files_only=True, **labels)
    for name, value in vars(configuration).items():
        # per-sample clipping assumes one fixed function; the adapter's own dropout is training.dropout
        if ("dropout" in name or name.endswith(("pdrop", "layerdrop"))) and isinstance(value, float):
            setattr(configuration, name, 0.0)
    if hasattr(configuration, "rescale_every"):
        # RWKV would divide weights in place whenever it is not training, against the overflow of fp16: those that are
        # trained, exchanged or exported must stay what they are
        configuration.rescale_every = 0
    return configuration


def _agree_on_padding(module: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
    # models that classify by the last token look for it left of the padding
    configurations: Iterable[Any] = (module.config, getattr(module, "generation_config", None))
    for configuration in configurations:
        if configuration is not None:
            configuration.pad_token_id = tokenizer.pad_token_id


def _draw(parameters: Mapping[str, nn.Parameter], *, seed: int, deviation: float, rounded: torch.dtype) -> None:
    """Matrices from N(0, deviation²), biases zero, scales of norms one; of the same values in whatever type."""
    for name, parameter in parameters.items():
        if parameter.ndim > 1:
            values = generator(seed, purpose=f"head {name}").normal(0.0, deviation, tuple(parameter.shape))
        else:
            values = np.full(tuple(parameter.shape), 0.0 if name.endswith("bias") else 1.0)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values).to(rounded))


def _head(module: nn.Module) -> dict[str, nn.Parameter]:
    """What stands on top of the body: every parameter outside the model's `base_model_prefix`."""
    body = f"{getattr(module, 'base_model_prefix', '')}."
    return {name: parameter for name, parameter in module.named_parameters() if not name.startswith(body)}


def _keep_in_fp32(module: nn.Module, head: Mapping[str, nn.Parameter]) -> None:
    """What is trained is fp32, also on a body in bf16; its input is cast on the way in."""
    for name in dict.fromkeys(name.partition(".")[0] for name in head):
        child = module.get_submodule(name)
        if any(parameter.dtype != torch.float32 for parameter in child.parameters()):
            child.float().register_forward_pre_hook(lambda _, inputs: tuple(_float(value) for value in inputs))


def _float(value: object) -> object:
    return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
