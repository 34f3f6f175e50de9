"""The base model: frozen, its head from the seed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError
from gossipfl.learning.base import BaseModel
from gossipfl.learning.models import load_base

Prepare = Callable[..., Experiment]
LABELS = ("red", "green", "blue")
ALL = ("bert", "gpt2", "llama", "t5")


def load(experiment: Experiment) -> BaseModel:
    return load_base(experiment.model, experiment.task, folder=Path(), seed=experiment.seed)


@pytest.mark.parametrize("name", ALL)
def test_the_head_depends_on_the_seed_and_on_nothing_else(name: str, experiment_of: Prepare) -> None:
    first = load(experiment_of(name, seed=1))
    torch.manual_seed(99)
    torch.rand(3)
    again = load(experiment_of(name, seed=1))
    other = load(experiment_of(name, seed=2))
    assert first.head_sha256 == again.head_sha256 != other.head_sha256
    assert all(torch.equal(first.head[key], again.head[key]) for key in first.head)
    assert first.sha256 == other.sha256


def test_loading_leaves_torchs_generator_alone(experiment_of: Prepare) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    load(experiment_of("bert"))
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("name", ALL)
def test_the_base_is_frozen_without_dropout_and_pads(name: str, experiment_of: Prepare) -> None:
    base = load(experiment_of(name))
    configuration: Any = base.module.config
    assert not any(parameter.requires_grad for parameter in base.module.parameters())
    assert all(layer.p == 0 for layer in base.module.modules() if isinstance(layer, torch.nn.Dropout))
    assert base.tokenizer is not None
    assert base.tokenizer.pad_token == base.tokenizer.eos_token
    assert configuration.pad_token_id == base.tokenizer.pad_token_id
    assert configuration.id2label == dict(enumerate(LABELS))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_in_training_mode_the_base_is_still_one_fixed_function(name: str, experiment_of: Prepare) -> None:
    module = load(experiment_of(name)).module
    ids = torch.arange(3, 11)[None]
    plain = module(input_ids=ids).logits
    assert torch.equal(module.train()(input_ids=ids).logits, plain)


def test_causal_lm_has_no_head(experiment_of: Prepare) -> None:
    base = load(experiment_of("llama", task="causal-lm"))
    assert (dict(base.head), dict(base.drawn), base.head_sha256) == ({}, {}, "")


def test_a_head_in_the_files_is_kept_when_its_labels_are_as_many(tmp_path: Path, experiment_of: Prepare) -> None:
    base = load(experiment_of("bert", seed=1))
    module: Any = base.module
    module.save_pretrained(tmp_path)
    assert base.tokenizer is not None
    base.tokenizer.save_pretrained(tmp_path)
    assert load(experiment_of(str(tmp_path), seed=2)).head_sha256 == base.head_sha256
    fewer = experiment_of(str(tmp_path), seed=2)
    fewer = fewer.model_copy(update={"task": fewer.task.model_copy(update={"labels": LABELS[:2]})})
    assert load(fewer).head["classifier.weight"].shape == (2, 64)


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_a_model_without_a_language_head_cannot_be_causal_lm(name: str, experiment_of: Prepare) -> None:
    with pytest.raises(ModelError, match="causal-lm") as caught:
        load(experiment_of(name, task="causal-lm"))
    assert "\n" not in str(caught.value)


def test_damaged_files_are_one_line(tmp_path: Path, tiny_folders: dict[str, Path], experiment_of: Prepare) -> None:
    for place, damage in [("model.safetensors", b"torn"), ("config.json", b'{"model_type": "unheard-of"}')]:
        folder = tmp_path / place
        shutil.copytree(tiny_folders["bert"], folder)
        (folder / place).write_bytes(damage)
        with pytest.raises(ModelError, match=r"model\.source: ") as caught:
            load(experiment_of(str(folder)))
        assert "\n" not in str(caught.value)


def test_a_tokenizer_that_cannot_pad_is_refused(
    tmp_path: Path, tiny_folders: dict[str, Path], experiment_of: Prepare
) -> None:
    folder = tmp_path / "unpadded"
    shutil.copytree(tiny_folders["bert"], folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="neither a pad token nor an eos token"):
        load(experiment_of(str(folder)))


def test_the_head_is_fp32_on_a_body_in_bf16(experiment_of: Prepare) -> None:
    base = load(experiment_of("bert", dtype="bfloat16"))
    assert {parameter.dtype for parameter in base.head.values()} == {torch.float32}
    assert base.module.get_parameter("bert.embeddings.word_embeddings.weight").dtype == torch.bfloat16
    assert base.module(input_ids=torch.arange(3, 9)[None]).logits.dtype == torch.float32
