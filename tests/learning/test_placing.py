"""Large bases: quantized only with a GPU, which is said before anything is loaded; in shards; on several devices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import dispatch_model
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from gossipfl.config.experiment import Experiment, ModelConfig
from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.models import load_base
from gossipfl.learning.placing import loading_on, refuse_offload
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import zeros_for

Make = Callable[..., Experiment]


def quantized(experiment: Experiment, **adapter: Any) -> Experiment:
    content = experiment.model_dump()
    content["model"]["quantization"] = "nf4"
    content["adapter"].update(adapter)
    return Experiment.model_validate(content)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_loaded() -> None:
    # a source that is nowhere: the GPU is asked for first
    model = ModelConfig(source="./nowhere", quantization="nf4")
    experiment = Experiment.model_validate(
        {
            "model": model,
            "task": {"kind": "causal-lm"},
            "adapter": {"kind": "lora"},
            "privacy": {"level": "none"},
        }
    )
    with pytest.raises(ConfigError, match=r"nf4 needs a CUDA GPU.*nothing was loaded"):
        load_base(model, experiment.task, folder=Path(), seed=0)
    with pytest.raises(ConfigError, match="nf4 needs a CUDA GPU"), loading_on(torch.device("cpu"), model):
        pytest.fail("it was loaded")


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ({"kind": "full"}, "weights of the base cannot change"),
        ({"kind": "lora", "merge": "exact"}, "weights of the base cannot change"),
        ({"kind": "core"}, "let gossipfl init write adapter.basis first"),
    ],
)
def test_adapters_that_need_the_weights_are_refused(adapter: dict[str, Any], said: str, experiment_of: Make) -> None:
    with pytest.raises(ValidationError, match=said):
        quantized(experiment_of("llama", task="causal-lm", kind="lora"), **adapter)


def test_outliers_of_other_records_are_refused_under_privacy(experiment_of: Make) -> None:
    content = experiment_of("llama", task="causal-lm", kind="lora").model_dump()
    content["model"]["quantization"] = "int8"
    content["privacy"] = {"level": "example", "noise_multiplier": 1.0}
    with pytest.raises(ValidationError, match="one record changes what others compute"):
        Experiment.model_validate(content)
    content["model"]["quantization"] = "nf4"
    Experiment.model_validate(content)


def test_nodes_of_another_quantization_do_not_meet(adapted_of: Callable[..., Adapted]) -> None:
    adapted = adapted_of("llama", task="causal-lm", kind="lora")
    plain = adapted.components()
    # what components tell of comes from the experiment; the weights of this one stay as they are
    object.__setattr__(adapted, "experiment", quantized(adapted.experiment))
    other = adapted.components()
    assert plain["model"] == adapted.base.sha256
    assert [name for name in plain if plain[name] != other[name]] == ["model"]


def test_shards_are_the_model_they_make(
    adapted_of: Callable[..., Adapted], tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    module = AutoModelForCausalLM.from_pretrained(tiny_folders["llama"])
    module.save_pretrained(folder, max_shard_size="60KB")
    for file in tiny_folders["llama"].glob("*token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    whole, sharded = (adapted_of(name, task="causal-lm", kind="lora") for name in ("llama", str(folder)))
    for one, other in zip(whole.module.parameters(), sharded.module.parameters(), strict=True):
        assert torch.equal(one, other)
    assert np.array_equal(whole.initial.vector, sharded.initial.vector)
    # the hash is of the files: nodes agree on one form
    assert whole.components()["model"] != sharded.components()["model"]


def test_layers_that_accelerate_moves_between_devices_train_alike(experiment_of: Make) -> None:
    experiment = experiment_of("llama", task="causal-lm", kind="lora")
    found = []
    for spread in (False, True):
        base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
        if spread:
            # a machine without GPUs has one device; the hooks run all the same
            body = base.module.get_submodule("model")
            places = {"lm_head": "cpu", **{f"model.{name}": "cpu" for name, _ in body.named_children()}}
            dispatch_model(base.module, device_map=places, main_device="cpu", force_hooks=True)
        adapted = attach(base, experiment)
        inside = adapted.module.get_submodule("model.layers.0.self_attn.q_proj.base_layer")
        assert hasattr(inside, "_hf_hook") == spread
        losses = make_task(adapted.experiment.task).losses
        ids = torch.arange(12).view(2, 6) + 3
        rows = Rows({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}, torch.arange(2))
        gradient = zeros_for(adapted.module)
        adapted.write(adapted.initial)
        PlainGradients(adapted.module, losses).add(rows, None, gradient)
        found.append(gradient)
    assert float(found[0].norm()) > 0
    assert torch.equal(*found)


def test_examples_by_themselves_are_on_one_device(experiment_of: Make) -> None:
    content = experiment_of("llama", task="causal-lm", kind="lora").model_dump()
    content["model"]["device_map"] = "auto"
    Experiment.model_validate(content)
    content["privacy"] = {"level": "example", "noise_multiplier": 1.0}
    with pytest.raises(ValidationError, match="collected on one device"):
        Experiment.model_validate(content)


def test_layers_left_outside_the_gpus_are_refused() -> None:
    module = torch.nn.Linear(2, 2)
    refuse_offload(module)
    module.hf_device_map = {"model.layers.0": 0, "model.layers.1": "cpu", "lm_head": "disk"}  # type: ignore[assignment]
    with pytest.raises(ModelError, match=r"no room for 2 of 3 parts, first model\.layers\.1"):
        refuse_offload(module)
