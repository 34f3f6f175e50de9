"""A quantized base: only with a GPU, said before anything is loaded; and other than the plain one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from gossipfl.config.experiment import Experiment, ModelConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.models import load_base
from gossipfl.learning.quantization import loading_on

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


def test_nodes_of_another_quantization_do_not_meet(adapted_of: Callable[..., Adapted]) -> None:
    adapted = adapted_of("llama", task="causal-lm", kind="lora")
    plain = adapted.components()
    # what components tell of comes from the experiment; the weights of this one stay as they are
    object.__setattr__(adapted, "experiment", quantized(adapted.experiment))
    other = adapted.components()
    assert plain["model"] == adapted.base.sha256
    assert [name for name in plain if plain[name] != other[name]] == ["model"]
