"""Tiny models with random weights, written once a session as transformers folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.models import load_base

WORDS = ("<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(61)))
LABELS = ("red", "green", "blue")

# one key/value head of 16: the projections of k and v have out 16, in 64
CONFIGURATIONS: dict[str, Callable[[], Any]] = {
    "bert": lambda: BertConfig(
        vocab_size=64, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96
    ),
    "gpt2": lambda: GPT2Config(
        vocab_size=64, n_embd=64, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=1
    ),
    "llama": lambda: LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        intermediate_size=96,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=1,
        tie_word_embeddings=True,
    ),
    "t5": lambda: T5Config(
        vocab_size=64,
        d_model=64,
        d_kv=8,
        num_layers=2,
        num_heads=4,
        d_ff=96,
        eos_token_id=1,
        decoder_start_token_id=0,
    ),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each tiny architecture."""
    home = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[2]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folders = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        for name, configuration in CONFIGURATIONS.items():
            kind = AutoModelForCausalLM if name in {"gpt2", "llama"} else AutoModel
            kind.from_config(configuration()).save_pretrained(home / name)
            fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=WORDS[1], unk_token=WORDS[2])
            fast.save_pretrained(home / name)
            folders[name] = home / name
    return folders


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of our own."""
    monkeypatch.setenv("GOSSIPFL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


Prepare = Callable[..., Experiment]


@pytest.fixture(scope="session")
def experiment_of(tiny_folders: dict[str, Path]) -> Prepare:
    """Makes an experiment on a tiny model: `experiment_of("bert", kind="core", rank=4)`."""

    def make(name: str, *, task: str = "sequence-classification", seed: int = 0, **adapter: Any) -> Experiment:
        labels = LABELS if task == "sequence-classification" else ()
        columns = {"prompt": "prompt", "response": "response"} if task == "seq2seq-lm" else {}
        return Experiment(
            seed=seed,
            model=ModelConfig(source=str(tiny_folders.get(name, name)), dtype=adapter.pop("dtype", "float32")),
            task=TaskConfig.model_validate({"kind": task, "labels": labels}),
            adapter=AdapterConfig(**{"rank": 4, **adapter}),
            data=DataConfig.model_validate(columns),
            privacy=PrivacyConfig(level="none"),
        )

    return make


@pytest.fixture(scope="session")
def adapted_of(experiment_of: Prepare) -> Callable[..., Adapted]:
    """Loads a tiny model and attaches an adapter; arguments of `experiment_of`."""

    def make(name: str, *, basis: Path | None = None, **wanted: Any) -> Adapted:
        experiment = experiment_of(name, **wanted)
        base = load_base(experiment.model, experiment.task, folder=Path(), seed=experiment.seed)
        return attach(base, experiment, basis=basis)

    return make
