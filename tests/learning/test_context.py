"""Records longer than the model takes are cut and counted; a tokenizer without a padding token pads all the same."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoModelForCausalLM, BertConfig, GPT2Config, PreTrainedTokenizerFast, RobertaConfig

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.base import BaseModel
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.context import check_length, context_of, cut_notice
from gossipfl.learning.data import DataSite, Examples
from gossipfl.learning.data.examples import make_examples
from gossipfl.learning.data.record import Record
from gossipfl.learning.evaluation import evaluate, row_losses
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import make_task
from gossipfl.runs.fleet import build_fleet
from gossipfl.runs.roster import Roster

CONTEXT = 16
VOCABULARY = 300
SMALL = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
CASES = [
    ("bert", "sequence-classification"),
    ("roberta", "sequence-classification"),
    ("gpt2", "sequence-classification"),
    ("gpt2", "causal-lm"),
]


def configuration(name: str) -> Any:
    if name == "gpt2":
        return GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=CONTEXT, vocab_size=VOCABULARY)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    if name == "roberta":
        # positions begin behind the padding's, which is 1
        return RobertaConfig(**SMALL, **sizes, max_position_embeddings=CONTEXT + 2, type_vocab_size=1)
    return BertConfig(vocab_size=VOCABULARY, **sizes, max_position_embeddings=CONTEXT)


def byte_tokenizer(**tokens: str) -> PreTrainedTokenizerFast:
    """A trained byte-level BPE, as GPT-2's; it knows no longest text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the patient walks, the patient falls"] * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of a small context, with a tokenizer that has no padding token."""
    home = tmp_path_factory.mktemp("short")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for name in ("bert", "roberta", "gpt2"):
            kind = AutoModelForCausalLM if name == "gpt2" else AutoModel
            kind.from_config(configuration(name)).save_pretrained(home / name)
            byte_tokenizer(eos_token="</s>").save_pretrained(home / name)  # noqa: S106  # no password
    return {name: home / name for name in ("bert", "roberta", "gpt2")}


def experiment_of(folder: Path, kind: str, length: int = CONTEXT) -> Experiment:
    labels = () if kind == "causal-lm" else ("walks", "falls")
    return Experiment(
        model=ModelConfig(source=str(folder)),
        task=TaskConfig.model_validate({"kind": kind, "labels": labels, "max_length": length}),
        adapter=AdapterConfig(rank=2),
        privacy=PrivacyConfig(level="none"),
    )


def loaded(experiment: Experiment) -> BaseModel:
    return load_base(experiment.model, experiment.task, folder=Path(), seed=0)


def examples_of(base: BaseModel, task: TaskConfig, texts: Sequence[str]) -> Examples:
    records = [Record(text, label=place % 2) for place, text in enumerate(texts)]
    return make_examples(records, [[row] for row in range(len(texts))], tokenizer=base.tokenizer, task=task)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_records_longer_than_the_model_are_cut_and_counted(folders: dict[str, Path], name: str, kind: str) -> None:
    experiment = experiment_of(folders[name], kind)
    base, task = loaded(experiment), make_task(experiment.task)
    assert base.tokenizer is not None
    assert base.tokenizer.model_max_length > 10**29
    # one byte a token behind the first: as long as the model takes, one more, and far more
    examples = examples_of(base, experiment.task, ["x" * (CONTEXT - 1), "x" * CONTEXT, "x" * 90, "x y"])
    found = evaluate(base.module, task, examples, micro_batch=4)
    assert np.isfinite(found.loss)
    assert (found.examples, examples.cut) == (4, 2)
    assert cut_notice([examples, examples], experiment.task).startswith(
        "4 of 8 records are longer than task.max_length"
    )
    assert context_of(base.module) == CONTEXT


def test_where_nothing_is_cut_nothing_is_said(folders: dict[str, Path]) -> None:
    experiment = experiment_of(folders["gpt2"], "causal-lm")
    examples = examples_of(loaded(experiment), experiment.task, ["x y", "x" * (CONTEXT - 1)])
    assert (examples.cut, cut_notice([examples], experiment.task)) == (0, "")


def test_a_prompt_with_its_response_is_counted_too(folders: dict[str, Path]) -> None:
    experiment = experiment_of(folders["gpt2"], "causal-lm")
    base = loaded(experiment)
    # the prompt, its newline, the response and its end are as long as the model takes, or one longer
    records = [Record("yyy", prompt="x" * length) for length in (CONTEXT - 5, CONTEXT - 4)]
    examples = make_examples(records, [[0], [1]], tokenizer=base.tokenizer, task=experiment.task)
    assert examples.cut == 1
    assert np.isfinite(evaluate(base.module, make_task(experiment.task), examples, micro_batch=2).loss)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_length_beyond_the_model_is_refused_before_it_is_an_index_error(
    folders: dict[str, Path], name: str, kind: str
) -> None:
    experiment = experiment_of(folders[name], kind, CONTEXT + 1)
    site = DataSite("oslo", ["oslo"], None, Path(), Path())
    with pytest.raises(ConfigError, match=f"task.max_length 17 is beyond the model, which takes {CONTEXT} tokens"):
        load_adapted(experiment, site)
    base = loaded(experiment)
    examples = examples_of(base, experiment.task, ["x" * 90])
    with pytest.raises((IndexError, RuntimeError)):
        evaluate(base.module, make_task(experiment.task), examples, micro_batch=1)
    check_length(base.module, CONTEXT)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_padding_with_the_last_token_changes_no_loss(folders: dict[str, Path], name: str, kind: str) -> None:
    experiment = experiment_of(folders[name], kind)
    base, task = loaded(experiment), make_task(experiment.task)
    assert base.tokenizer is not None
    assert (base.tokenizer.pad_token, base.tokenizer.pad_token_id) == ("</s>", 1)
    examples = examples_of(base, experiment.task, ["the patient walks", "x", "the patient falls", "patient"])
    together, alone = (row_losses(base.module, task, examples, micro_batch=size) for size in (4, 1))
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_tokenizer_without_padding_and_end_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["gpt2"], tmp_path / "endless")
    byte_tokenizer().save_pretrained(tmp_path / "endless")
    with pytest.raises(ModelError, match="has neither a pad token nor an eos token") as caught:
        loaded(experiment_of(tmp_path / "endless", "causal-lm"))
    assert "\n" not in str(caught.value)


def test_a_simulation_says_once_how_many_records_were_cut(
    folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data.txt").write_text("\n".join(["x y"] * 6 + ["x" * 90] * 4))
    experiment = experiment_of(folders["gpt2"], "causal-lm")
    data = experiment.data.model_copy(update={"source": "data.txt", "held_out": 0.0})
    names = ("n0", "n1")
    with caplog.at_level(logging.INFO, "gossipfl"):
        build_fleet(experiment.model_copy(update={"data": data}), Roster(names, tmp_path), names)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith("4 of 10 records are longer")
    lines = [record.message for record in caplog.records if record.message.startswith("node n")]
    assert sum(int(line.split()[2]) for line in lines) == 4
