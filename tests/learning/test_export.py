"""What is exported is what was trained, read back by PEFT and transformers alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.export import export
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]
Prepare = Callable[..., Experiment]
IDS = torch.tensor([[3, 9, 27, 4, 12, 1], [5, 25, 40, 8, 16, 1]])
CLASSES = {"sequence-classification": AutoModelForSequenceClassification, "causal-lm": AutoModelForCausalLM}
CASES = [
    *((name, "sequence-classification") for name in ("bert", "gpt2", "llama", "t5")),
    *((name, "causal-lm") for name in ("gpt2", "llama")),
]


def random_state(adapted: Adapted, seed: int = 0) -> AdapterState:
    noise = np.random.default_rng(seed).standard_normal(adapted.spec.size).astype(np.float32)
    return AdapterState(adapted.spec, adapted.initial.vector + np.float32(0.1) * noise)


def logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module.eval()(input_ids=IDS).logits
    return found


def plain_base(experiment: Experiment) -> Any:
    labels = {"num_labels": len(experiment.task.labels)} if experiment.task.labels else {}
    module = CLASSES[experiment.task.kind].from_pretrained(experiment.model.source, **labels)
    # what a user of a model that classifies by its last token sets as well
    module.config.pad_token_id = 1
    return module


@pytest.mark.parametrize("kind", ["lora", "ffa", "core"])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_peft_reads_the_folder_and_computes_the_same(
    name: str, task: str, kind: str, tmp_path: Path, adapted_of: Attach
) -> None:
    adapted = adapted_of(name, task=task, kind=kind, alpha=6.0)
    state = random_state(adapted)
    sha256 = export(adapted, state, tmp_path / "out")
    assert sha256 == file_sha256(tmp_path / "out" / "adapter_model.safetensors")
    reloaded = PeftModel.from_pretrained(plain_base(adapted.experiment), tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)
    assert not torch.allclose(logits(reloaded), initial_logits(adapted), atol=1e-3)


def test_private_tensors_are_exported_too(tmp_path: Path, adapted_of: Attach) -> None:
    adapted = adapted_of("bert", kind="core", private=("classifier.*", "*.layer.0.*"))
    state = random_state(adapted)
    export(adapted, state, tmp_path / "out")
    reloaded = PeftModel.from_pretrained(plain_base(adapted.experiment), tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)


@pytest.mark.parametrize("kind", ["lora", "alternating", "core"])
def test_a_stabilized_rank_is_one_for_peft_too(kind: str, tmp_path: Path, adapted_of: Attach) -> None:
    adapted = adapted_of("llama", task="causal-lm", kind=kind, alpha=6.0, rank_stabilized=True)
    assert adapted.parts.scale == pytest.approx(3.0)
    export(adapted, random_state(adapted), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["use_rslora"], config["lora_alpha"], config["r"]) == (True, pytest.approx(6.0), 4)
    reloaded = PeftModel.from_pretrained(plain_base(adapted.experiment), tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_what_was_folded_into_frozen_weights_is_in_the_exported_model(
    name: str, tmp_path: Path, adapted_of: Attach
) -> None:
    adapted = adapted_of(name, task="causal-lm", kind="lora", merge="exact")
    before = logits(adapted.module)
    state = random_state(adapted)
    export(adapted, state, tmp_path / "out")
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)
    unfolded = state.vector.copy()
    for segment in (name for name in adapted.spec.slices if name.endswith(".lora_merged")):
        unfolded[adapted.spec.slices[segment]] = 0
    adapted.write(AdapterState(adapted.spec, unfolded))
    assert not torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-3)
    adapted.write(adapted.initial)
    assert torch.equal(logits(adapted.module), before)
    assert adapted.read() == adapted.initial


def initial_logits(adapted: Adapted) -> torch.Tensor:
    state = adapted.read()
    adapted.write(adapted.initial)
    found = logits(adapted.module)
    adapted.write(state)
    return found


@pytest.mark.parametrize("kind", ["full", "lora", "ffa", "core"])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_transformers_reads_the_merged_model_and_computes_the_same(
    name: str, task: str, kind: str, tmp_path: Path, adapted_of: Attach
) -> None:
    adapted = adapted_of(name, task=task, kind=kind)
    sha256 = export(adapted, random_state(adapted), tmp_path / "out", merge=True)
    assert sha256 == file_sha256(tmp_path / "out" / "model.safetensors")
    reloaded = CLASSES[task].from_pretrained(tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)
    if task == "sequence-classification":
        assert reloaded.config.id2label == {0: "red", 1: "green", 2: "blue"}


def test_a_core_adapter_on_rectangular_layers_is_exported_right(tmp_path: Path, adapted_of: Attach) -> None:
    # out 16, in 64; out 96, in 64; out 64, in 96
    adapted = adapted_of("llama", task="causal-lm", kind="core", targets=("k_proj", "up_proj", "down_proj"), alpha=12.0)
    export(adapted, random_state(adapted), tmp_path / "out")
    reloaded = PeftModel.from_pretrained(plain_base(adapted.experiment), tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)
    assert torch.allclose(logits(reloaded.merge_and_unload()), logits(adapted.module), atol=1e-5)


def test_a_head_that_is_not_trained_is_exported_all_the_same(tmp_path: Path, adapted_of: Attach) -> None:
    adapted = adapted_of("bert", kind="core", train_head=False)
    export(adapted, random_state(adapted), tmp_path / "out")
    reloaded = PeftModel.from_pretrained(plain_base(adapted.experiment), tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)


def test_a_body_that_lacks_a_pooler_gets_one_from_the_seed_and_exports_it(
    tmp_path: Path, tiny_folders: dict[str, Path], experiment_of: Prepare, adapted_of: Attach
) -> None:
    module = AutoModel.from_pretrained(tiny_folders["bert"], add_pooling_layer=False)
    module.save_pretrained(tmp_path / "bald")
    AutoTokenizer.from_pretrained(tiny_folders["bert"]).save_pretrained(tmp_path / "bald")
    adapted = adapted_of(str(tmp_path / "bald"), kind="core")
    assert sorted(adapted.base.drawn) == ["bert.pooler.dense.bias", "bert.pooler.dense.weight"]
    assert not any("pooler" in segment.name for segment in adapted.spec.segments)
    export(adapted, random_state(adapted), tmp_path / "out")
    reloaded = PeftModel.from_pretrained(plain_base(experiment_of(str(tmp_path / "bald"))), tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)


def test_equal_states_make_equal_folders_and_other_states_other_hashes(tmp_path: Path, adapted_of: Attach) -> None:
    first = export(adapted_of("bert"), adapted_of("bert").initial, tmp_path / "a")
    again = adapted_of("bert")
    assert export(again, again.initial, tmp_path / "b") == first
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert export(again, random_state(again), tmp_path / "c") != first


def test_the_folder_says_where_it_comes_from_and_holds_the_tokenizer(tmp_path: Path, adapted_of: Attach) -> None:
    adapted = adapted_of("bert", seed=4)
    sha256 = export(adapted, adapted.initial, tmp_path / "out")
    note = json.loads((tmp_path / "out" / "gossipfl.json").read_text())
    assert note["base_sha256"] == adapted.base.sha256
    assert note["model"]["source"] == adapted.base.source
    assert note["task"]["labels"] == ["red", "green", "blue"]
    assert (note["adapter"], note["seed"], note["sha256"], note["merged"]) == ("core", 4, sha256, False)
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("w3 w4")["input_ids"] == [6, 7]
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(adapted.base.folder)
    assert config["peft_type"] == "LORA"


def test_an_earlier_export_is_replaced_and_anything_else_is_left_alone(tmp_path: Path, adapted_of: Attach) -> None:
    adapted, output = adapted_of("bert"), tmp_path / "out"
    export(adapted, adapted.initial, output, merge=True)
    export(adapted, adapted.initial, output)
    assert not (output / "model.safetensors").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("all of it")
    for other in (tmp_path / "thesis", tmp_path / "thesis" / "chapter"):
        with pytest.raises(ModelError, match="exists and is not an earlier export"):
            export(adapted, adapted.initial, other)
    assert (tmp_path / "thesis" / "chapter").read_text() == "all of it"
    assert not list(tmp_path.glob(".*"))


def test_a_body_in_bf16_is_exported_as_an_fp32_adapter(tmp_path: Path, adapted_of: Attach) -> None:
    adapted = adapted_of("llama", task="causal-lm", kind="lora", dtype="bfloat16")
    export(adapted, random_state(adapted), tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(adapted.base.folder, dtype=torch.bfloat16)
    reloaded = PeftModel.from_pretrained(base, tmp_path / "out")
    assert torch.allclose(logits(reloaded), logits(adapted.module), atol=1e-5)
