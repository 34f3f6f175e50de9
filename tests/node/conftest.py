"""A tiny model, written once a session, and experiments around it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.node.study import WORDS, Study, make_study
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with random weights and a tokenizer of words."""
    folder = tmp_path_factory.mktemp("tiny") / "bert"
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[2]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        AutoModel.from_config(BertConfig(vocab_size=64, **shape)).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=WORDS[0], eos_token=WORDS[1], unk_token=WORDS[2]
    )
    fast.save_pretrained(folder)
    return folder


Begin = Callable[..., Study]


@pytest.fixture
def begin(tmp_path: Path, tiny_model: Path) -> Begin:
    """Writes an experiment; arguments of `make_study`."""
    return lambda **wanted: make_study(tmp_path / "study", tiny_model, **wanted)
