"""What training takes in memory, told from a configuration: held against what real tensors of the same pass take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.learning.tiny_vit import tiny_vit
from transformers import LlamaForCausalLM, ResNetConfig, ResNetModel, SwinConfig, SwinModel

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError
from gossipfl.learning.adapters import attach
from gossipfl.learning.fake_pass import inputs, peak_of_pass
from gossipfl.learning.footprint import Footprint, footprint
from gossipfl.learning.models import load_base
from gossipfl.learning.quiet import quiet

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
        ("t5", "seq2seq-lm", "lora"),
    ],
)
def test_fake_tensors_take_what_real_ones_take(family: str, task: str, kind: str, experiment_of: Make) -> None:
    sizes = {"training": {"micro_batch": 4}, "task": {"max_length": 48}}
    experiment = changed(experiment_of(family, task=task, kind=kind), **sizes)
    found = footprint(experiment, Path())
    adapted = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    module: Any = adapted.module.train()
    module.config.use_cache = False
    tensors = {name: tensor.clone() for name, tensor in inputs(module, 4, 48).items()}
    # a mask of ones alone is seen by real models and dropped
    tensors["attention_mask"][0, -1] = 0
    assert found.activations == pytest.approx(peak_of_pass(module, tensors, None), rel=0.05)
    frozen = [*(own for own in module.parameters() if not own.requires_grad), *module.buffers()]
    assert found.weights == sum(own.numel() * own.element_size() for own in frozen)
    # parameter, gradient, two moments of Adam and six states
    assert found.adapter == 10 * 4 * sum(own.numel() for own in adapted.trained.values())


@pytest.mark.slow
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


def test_a_family_that_looks_at_values_cannot_be_told_of(experiment_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = LlamaForCausalLM.forward

    def forward(self: LlamaForCausalLM, input_ids: torch.Tensor, **named: Any) -> Any:
        if int(input_ids.sum()) > 0:
            raise AssertionError("a value of nothing was known")
        return plain(self, input_ids, **named)

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    with pytest.raises(ModelError, match="a pass without weights fails: DataDependentOutputException"):
        footprint(experiment_of("llama", task="causal-lm", kind="lora"), Path())


def images(folder: Path, **adapter: Any) -> Experiment:
    content = {
        "model": {"source": str(folder)},
        "task": {"kind": "image-classification", "labels": ["cat", "dog"]},
        "adapter": adapter,
        "privacy": {"level": "none"},
    }
    return Experiment.model_validate(content)


def test_a_model_of_images_has_no_words(tmp_path: Path) -> None:
    config = SwinConfig(
        image_size=8, patch_size=2, num_channels=1, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=2
    )
    with quiet():
        SwinModel(config).save_pretrained(tmp_path)
    found = footprint(images(tmp_path, kind="lora", rank=2), Path())
    assert found.weights > 0
    assert found.activations > 0


def test_fake_images_take_what_real_ones_take(tmp_path: Path) -> None:
    experiment = images(tiny_vit(tmp_path / "vit"), kind="lora", rank=2)
    found = footprint(experiment, Path())
    adapted = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    tensors = inputs(adapted.module, experiment.training.micro_batch, 1)
    assert found.activations == pytest.approx(peak_of_pass(adapted.module.train(), tensors, None), rel=0.05)
    assert found.adapter == 10 * 4 * sum(own.numel() for own in adapted.trained.values())


def test_images_of_no_size_cannot_be_told_of(tmp_path: Path) -> None:
    config = ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    with quiet():
        ResNetModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"a pass without weights fails.*image_size"):
        footprint(images(tmp_path, kind="full"), Path())
