"""GGUF files: converted once, whole, by one process."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from gossipfl.config.experiment import Experiment, ModelConfig
from gossipfl.errors import ModelError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.export import export
from gossipfl.learning.models import load_base
from gossipfl.learning.sources import locate

Prepare = Callable[..., Experiment]
WIDTH, HEADS, INNER = 32, 4, 48
TOKENS = ["<unk>", "<s>", "</s>", *(chr(97 + letter) for letter in range(26)), "ab", "cd", "Ġ"]


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    """A one-layer Llama with random fp32 weights."""
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_merges(["a b", "c d"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in tensors().items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH),
        "attn_v": (WIDTH, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    found = {f"blk.0.{name}.weight": rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        found[f"{name}.weight"] = np.ones(WIDTH, np.float32)
    found["token_embd.weight"] = rng.standard_normal((len(TOKENS), WIDTH)).astype(np.float32)
    return found


def folder_of(path: Path) -> Path:
    return locate(ModelConfig(source=str(path)), folder=Path()).folder


def test_a_gguf_is_a_model_like_any_other_and_hashes_as_the_file(tiny_gguf: Path, experiment_of: Prepare) -> None:
    experiment = experiment_of(str(tiny_gguf), task="causal-lm")
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    assert base.sha256 == file_sha256(tiny_gguf)
    assert base.tokenizer is not None
    assert base.folder is not None
    assert base.tokenizer.pad_token == base.tokenizer.eos_token
    parameters = dict(base.module.named_parameters())
    assert {parameter.dtype for parameter in parameters.values()} == {torch.float32}
    expected = torch.from_numpy(tensors()["blk.0.ffn_up.weight"]).to(torch.bfloat16).float()
    assert torch.equal(parameters["model.layers.0.mlp.up_proj.weight"], expected)
    config = json.loads((base.folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"


def test_a_conversion_is_done_once(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tiny_gguf)
    monkeypatch.setattr("gossipfl.learning.gguf._convert", None)
    copy = tiny_gguf.with_name("copy.gguf")
    shutil.copy(tiny_gguf, copy)
    assert folder_of(copy) == folder_of(tiny_gguf) == folder


def test_two_that_convert_at_once_make_one_whole_folder(tiny_gguf: Path, cache: Path) -> None:
    # a file lock holds between two openings of the file, in one process as in two
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(folder_of, [tiny_gguf, tiny_gguf]))
    assert folders[0] == folders[1]
    assert [path for path in (cache / "gguf").iterdir() if path.is_dir()] == [folders[0]]


def test_a_damaged_gguf_is_one_line_and_leaves_nothing(tiny_gguf: Path, cache: Path) -> None:
    tiny_gguf.write_bytes(tiny_gguf.read_bytes()[:200])
    with pytest.raises(ModelError, match="is not a GGUF that transformers can read") as caught:
        folder_of(tiny_gguf)
    assert "\n" not in str(caught.value)
    assert not [path for path in (cache / "gguf").iterdir() if path.is_dir()]


def test_an_adapter_on_a_gguf_is_exported_against_the_converted_folder(
    tiny_gguf: Path, tmp_path: Path, experiment_of: Prepare
) -> None:
    experiment = experiment_of(str(tiny_gguf), task="causal-lm", kind="core")
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    adapted: Adapted = attach(base, experiment)
    export(adapted, adapted.initial, tmp_path / "out")
    note = json.loads((tmp_path / "out" / "gossipfl.json").read_text())
    assert note["model"]["source"] == str(tiny_gguf)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base.folder)
