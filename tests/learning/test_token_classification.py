"""A label for each word: which tokens count, losses and gradients of a row, and what is exported."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from peft import PeftModel
from sklearn.metrics import f1_score
from tests.learning.test_card import code_of, run_here
from tests.learning.test_export import random_state
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import DataError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.data.examples import IGNORED, Examples, make_examples
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.evaluation import evaluate
from gossipfl.learning.export import export
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.sources import ENGINES, Engine

PAD, UNKNOWN = "[PAD]", "[UNK]"
LABELS = ("none", "person", "place")
TASK = TaskConfig(kind="token-classification", labels=LABELS)
ANNA = Record("Anna visited Ulm", words=("Anna", "visited", "Ulm"), tags=(1, 0, 2))
SENTENCES = ("w1 w2 w3", "w4 w9", "w5 w6 w7 w8 w9 w10")
Attach = Callable[..., Adapted]


def pieces() -> PreTrainedTokenizerFast:
    """Words in pieces between two special tokens, as BERT has them."""
    words = (PAD, "[CLS]", "[SEP]", UNKNOWN, "an", "##na", "visited", "u", "##l", "##m")
    own = Tokenizer(models.WordPiece({word: place for place, word in enumerate(words)}, unk_token=UNKNOWN))
    own.normalizer = normalizers.Lowercase()
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=own, pad_token=PAD, unk_token=UNKNOWN)


def row(record: Record, tokenizer: Any, task: TaskConfig = TASK) -> tuple[list[int], list[int]]:
    """Ids and labels."""
    (rows,) = make_examples([record], [[0]], tokenizer=tokenizer, task=task).rows_in_order(1)
    return rows.tensors["input_ids"][0].tolist(), rows.tensors["labels"][0].tolist()


def test_the_first_piece_of_a_word_carries_its_label_and_no_other_token_counts() -> None:
    ids, labels = row(ANNA, pieces())
    assert ids == [1, 4, 5, 6, 7, 8, 9, 2]
    assert labels == [IGNORED, 1, IGNORED, 0, 2, IGNORED, IGNORED, IGNORED]


def test_words_beyond_the_length_do_not_count() -> None:
    short = TASK.model_copy(update={"max_length": 5})
    examples = make_examples([ANNA], [[0]], tokenizer=pieces(), task=short)
    assert row(ANNA, pieces(), short)[1] == [IGNORED, 1, IGNORED, 0, IGNORED]
    assert examples.cut == 1
    with pytest.raises(DataError, match=r"task\.max_length 2: no word is left of a record of 3 words"):
        row(ANNA, pieces(), TASK.model_copy(update={"max_length": 2}))


def test_words_come_to_the_tokens_that_they_have_in_a_text() -> None:
    own = Tokenizer(models.BPE())
    own.pre_tokenizer, own.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=[PAD], initial_alphabet=alphabet)
    own.train_from_iterator(["Anna visited Ulm to be"] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=own, pad_token=PAD)
    ids, labels = row(ANNA, tokenizer)
    assert ids == tokenizer("Anna visited Ulm")["input_ids"]
    assert [label for label in labels if label != IGNORED] == [1, 0, 2]


def test_a_tokenizer_that_knows_no_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", property(lambda _: False))
    with pytest.raises(DataError, match="needs a fast tokenizer"):
        row(ANNA, pieces())


def experiment() -> Experiment:
    return Experiment(model=ModelConfig(source="x"), task=TASK, privacy=PrivacyConfig(level="none"))


def test_lists_in_json_and_in_a_csv_are_the_same_records(tmp_path: Path) -> None:
    line = {"words": list(ANNA.words), "tags": ["person", "none", "place"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    cells = [json.dumps(value).replace('"', '""') for value in line.values()]
    (tmp_path / "b.csv").write_text("words,tags\n" + ",".join(f'"{cell}"' for cell in cells) + "\n")
    named = datasets.Features({"words": datasets.List(datasets.Value("string")), "tags": datasets.List(CLASSES)})
    datasets.Dataset.from_dict({"words": [list(ANNA.words)], "tags": [[2, 0, 1]]}, named).save_to_disk(tmp_path / "c")
    for name in ("a.jsonl", "b.csv", "c"):
        assert to_records(read_table(name, folder=tmp_path), experiment(), source=name) == [ANNA]


CLASSES = datasets.ClassLabel(names=["none", "place", "person"])


def test_the_ledger_knows_the_text_again_whatever_is_asked_of_it() -> None:
    assert ANNA.tag == Record("Anna  visited Ulm", label=3).tag


@pytest.mark.parametrize(
    ("words", "tags", "problem"),
    [
        (["a", "b"], ["none"], "data.tags: record 2 of data 'x' has 2 words and 1 tags"),
        ([], [], "has 0 words and 0 tags"),
        (["a", " "], ["none", "none"], "data.words: record 2 .* has a word that is no text, or blank"),
        (["a"], ["river"], "has the tag 'river', which task.labels does not name"),
        (None, ["none"], "data.words: record 2 of data 'x' has no list in column 'words'"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(words: Any, tags: Any, problem: str) -> None:
    table = datasets.Dataset.from_dict({"words": [["a"], words], "tags": [["none"], tags]})
    with pytest.raises(DataError, match=problem):
        to_records(table, experiment(), source="x")


@pytest.fixture(scope="module")
def attached(tiny_folders: dict[str, Path]) -> Attach:
    def make(**adapter: Any) -> Adapted:
        own = experiment().model_copy(
            update={
                "model": ModelConfig(source=str(tiny_folders["bert"])),
                "adapter": AdapterConfig(**{"kind": "lora", "rank": 4, **adapter}),
            }
        )
        return attach(load_base(own.model, own.task, folder=Path(), seed=0), own)

    return make


def examples_for(adapted: Adapted) -> Examples:
    records = [
        Record(text, words=tuple(text.split()), tags=tuple((place + number) % 3 for place in range(len(text.split()))))
        for number, text in enumerate(SENTENCES)
    ]
    return make_examples(records, [[place] for place in range(3)], tokenizer=adapted.reader, task=TASK)


def test_a_row_in_a_batch_has_the_loss_that_transformers_gives_it_alone(attached: Attach) -> None:
    adapted = attached()
    examples = examples_for(adapted)
    (together,) = examples.rows_in_order(3)
    with torch.no_grad():
        losses = make_task(TASK).losses(adapted.module, together.tensors)
        alone = [adapted.module(**rows.tensors).loss for rows in examples.rows_in_order(1)]
    torch.testing.assert_close(losses, torch.stack(alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_the_gradient_of_a_row_is_that_of_its_own_loss(attached: Attach, engine: Engine) -> None:
    adapted = attached()
    # at the start B is zero, and nothing flows to A
    adapted.write(random_state(adapted))
    module = adapted.module
    (rows,) = examples_for(adapted).rows_in_order(3)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    own = []
    for place in range(rows.count):
        module.zero_grad()
        module(**rows.row(place).tensors).loss.backward()
        own.append([parameter.grad.clone() for parameter in trained if parameter.grad is not None])
    module.zero_grad()
    source = ENGINES[engine](module, make_task(TASK).losses)
    for place, found in enumerate(source.unit_gradients(rows)):
        expected = np.stack([gradients[place].numpy() for gradients in own])
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-5)
    source.close()


def test_accuracy_and_macro_f1_go_over_words_and_loss_over_rows(attached: Attach) -> None:
    adapted = attached()
    adapted.write(random_state(adapted))
    examples = examples_for(adapted)
    true, said, losses = [], [], []
    for rows in examples.rows_in_order(1):
        with torch.no_grad():
            out = adapted.module(**rows.tensors)
        losses.append(float(out.loss))
        counted = rows.tensors["labels"][0] != IGNORED
        true += rows.tensors["labels"][0][counted].tolist()
        said += out.logits[0].argmax(-1)[counted].tolist()
    found = evaluate(adapted.module, make_task(TASK), examples, micro_batch=2)
    assert len(true) == 11
    assert found.accuracy == pytest.approx(np.mean(np.array(true) == np.array(said)))
    assert found.measures["macro_f1"] == pytest.approx(f1_score(true, said, average="macro"))
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("merge", [False, True])
def test_an_export_is_read_by_transformers(
    attached: Attach, tiny_folders: dict[str, Path], tmp_path: Path, *, merge: bool
) -> None:
    adapted = attached(alpha=6.0)
    export(adapted, random_state(adapted), tmp_path / "out", merge=merge)
    (rows,) = examples_for(adapted).rows_in_order(3)
    if merge:
        reloaded = AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    else:
        base = AutoModelForTokenClassification.from_pretrained(tiny_folders["bert"], num_labels=len(LABELS))
        reloaded = PeftModel.from_pretrained(base, tmp_path / "out").eval()
    assert set(ast.literal_eval(run_here(code_of(tmp_path / "out"), tmp_path / "out"))) <= set(LABELS)
    with torch.no_grad():
        torch.testing.assert_close(
            reloaded(**rows.tensors).logits, adapted.module(**rows.tensors).logits, rtol=1e-4, atol=1e-5
        )
