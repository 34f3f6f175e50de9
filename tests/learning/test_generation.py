"""Text from an export, by the adapter and by the base model alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.export import export
from gossipfl.learning.generation import generate
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]


@pytest.fixture
def adapted(adapted_of: Attach) -> Adapted:
    found: Adapted = adapted_of("llama", task="causal-lm", kind="core", targets=("q_proj", "v_proj", "o_proj"))
    return found


def moved(adapted: Adapted) -> AdapterState:
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    return AdapterState(adapted.spec, 20 * noise)


def test_the_adapters_text_differs_from_the_base_models_and_comes_again(tmp_path: Path, adapted: Adapted) -> None:
    sha256 = export(adapted, moved(adapted), tmp_path / "out")
    first = generate(tmp_path / "out", "w3 w4 w5", max_new_tokens=8, device="cpu")
    assert first.text != first.base_text
    assert first.adapter_sha256 == sha256
    assert generate(tmp_path / "out", "w3 w4 w5", max_new_tokens=8) == first


def test_the_merged_model_says_the_same(tmp_path: Path, adapted: Adapted) -> None:
    export(adapted, moved(adapted), tmp_path / "adapter")
    sha256 = export(adapted, moved(adapted), tmp_path / "whole", merge=True)
    one, other = (generate(tmp_path / name, "w3 w9", max_new_tokens=6) for name in ("adapter", "whole"))
    assert (one.text, one.base_text) == (other.text, other.base_text)
    assert other.adapter_sha256 == sha256


def test_an_untrained_adapter_says_what_the_base_model_says(tmp_path: Path, adapted: Adapted) -> None:
    export(adapted, adapted.initial, tmp_path / "out")
    found = generate(tmp_path / "out", "w3 w9", max_new_tokens=6)
    assert found.text == found.base_text


def test_a_prompt_that_cannot_be_continued_is_one_line(tmp_path: Path, adapted: Adapted) -> None:
    export(adapted, adapted.initial, tmp_path / "out")
    with pytest.raises(ModelError, match="prompt: it is empty"):
        generate(tmp_path / "out", "")
    with pytest.raises(ModelError, match=r"prompt: 2 tokens and max_new_tokens 63 exceed the model's context of 64"):
        generate(tmp_path / "out", "w3 w4", max_new_tokens=63)
    with pytest.raises(ConfigError, match="device: 'abacus'"):
        generate(tmp_path / "out", "w3", device="abacus")


def test_a_folder_that_is_no_usable_export_is_one_line(tmp_path: Path, adapted: Adapted, adapted_of: Attach) -> None:
    with pytest.raises(ModelError, match="is no folder that gossipfl export wrote"):
        generate(tmp_path / "nowhere", "w3")
    classifier = adapted_of("bert")
    export(classifier, classifier.initial, tmp_path / "classifier")
    with pytest.raises(ModelError, match="was trained for sequence-classification"):
        generate(tmp_path / "classifier", "w3")
    export(adapted, adapted.initial, tmp_path / "out")
    (tmp_path / "out" / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="cannot be read") as caught:
        generate(tmp_path / "out", "w3", max_new_tokens=2)
    assert "\n" not in str(caught.value)
    (tmp_path / "out" / "gossipfl.json").write_text("{}")
    with pytest.raises(ModelError, match="is damaged"):
        generate(tmp_path / "out", "w3")


def test_a_base_model_that_has_changed_is_refused(tmp_path: Path, adapted: Adapted) -> None:
    export(adapted, adapted.initial, tmp_path / "out")
    note = json.loads((tmp_path / "out" / "gossipfl.json").read_text())
    note["base_sha256"] = "0" * 64
    (tmp_path / "out" / "gossipfl.json").write_text(json.dumps(note))
    with pytest.raises(ModelError, match="belongs to base model 000000000000"):
        generate(tmp_path / "out", "w3")
