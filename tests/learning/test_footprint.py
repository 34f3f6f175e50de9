"""What training takes in memory, told from a configuration: held against what real tensors of the same pass take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters import attach
from gossipfl.learning.fake_pass import class_loss, peak_of_pass, token_loss
from gossipfl.learning.footprint import Footprint, footprint
from gossipfl.learning.models import load_base

Make = Callable[..., Experiment]


def changed(experiment: Experiment, **sections: dict[str, Any]) -> Experiment:
    content = experiment.model_dump()
    for section, fields in sections.items():
        content[section].update(fields)
    return Experiment.model_validate(content)


def told(experiment: Experiment, **sections: dict[str, Any]) -> Footprint:
    return footprint(changed(experiment, **sections), Path())


@pytest.mark.parametrize(
    ("family", "task", "kind"),
    [
        ("llama", "causal-lm", "lora"),
        ("gpt2", "causal-lm", "ffa"),
        ("bert", "sequence-classification", "core"),
        ("gpt2", "causal-lm", "full"),
    ],
)
def test_fake_tensors_take_what_real_ones_take(family: str, task: str, kind: str, experiment_of: Make) -> None:
    sizes = {"training": {"micro_batch": 4}, "task": {"max_length": 48}}
    experiment = changed(experiment_of(family, task=task, kind=kind), **sizes)
    found = footprint(experiment, Path())
    adapted = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    module = adapted.module.train()
    module.config.use_cache = False
    ids = torch.full((4, 48), 5)
    mask = torch.ones_like(ids)
    # a mask of ones alone is seen by real models and dropped
    mask[0, -1] = 0
    tensors = {"input_ids": ids, "attention_mask": mask}
    loss = token_loss if task == "causal-lm" else class_loss
    assert found.activations == pytest.approx(peak_of_pass(module, tensors, loss, None), rel=0.05)
    frozen = [*(own for own in module.parameters() if not own.requires_grad), *module.buffers()]
    assert found.weights == sum(own.numel() * own.element_size() for own in frozen)
    # parameter, gradient, two moments of Adam and six states
    assert found.adapter == 10 * 4 * sum(own.numel() for own in adapted.trained.values())


def test_what_a_user_can_change_changes_it(experiment_of: Make) -> None:
    experiment = changed(
        experiment_of("llama", task="causal-lm", kind="lora"),
        training={"micro_batch": 8},
        task={"max_length": 64},
    )
    base = told(experiment)
    assert told(experiment, training={"micro_batch": 4}).activations == pytest.approx(base.activations / 2, rel=0.01)
    assert told(experiment, task={"max_length": 32}).activations < 0.51 * base.activations
    assert told(experiment, training={"gradient_checkpointing": True}).activations < 0.8 * base.activations
    assert told(experiment, model={"dtype": "bfloat16"}).weights == pytest.approx(base.weights / 2, rel=0.1)
    private = {"level": "example", "noise_multiplier": 1.0}
    trained = base.adapter // 40
    assert told(experiment, privacy=private).unit_gradients == 8 * trained * 4
    # tied to the embedding, the head is not quantized
    linear, whole = 2 * (64 * 64 * 2 + 64 * 16 * 2 + 3 * 64 * 96), base.weights
    assert whole - told(experiment, model={"quantization": "int8"}).weights == 3 * linear


def test_nothing_is_loaded(experiment_of: Make, tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    folder.mkdir()
    for file in tiny_folders["llama"].iterdir():
        # weights that nobody can read
        content = b"no weights" if file.suffix == ".safetensors" else file.read_bytes()
        (folder / file.name).write_bytes(content)
    experiment = experiment_of("llama", task="causal-lm", kind="lora")
    moved = changed(experiment, model={"source": str(folder)})
    assert told(moved) == told(experiment)
