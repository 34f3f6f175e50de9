"""Questions with choices: how they are read, trained on, and answered by likelihood."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from gossipfl.config.experiment import DataConfig, Experiment
from gossipfl.errors import DataError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.evaluation import evaluate, row_losses
from gossipfl.learning.export import export
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.self_check import check_per_sample_gradients, choose_engine
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]
QUESTIONS = (
    Record("", prompt="w1 w2 w3", choices=("w40", "w41 w42 w43", "w44 w45"), label=1),
    Record("", prompt="w4", choices=("w46 w47", "w48"), label=0),
    Record("", prompt="w5 w6 w7 w8 w9 w10", choices=("w49", "w50", "w51", "w52 w53"), label=3),
    Record("", prompt="w11 w12", choices=("w54 w55", "w56 w57 w58"), label=1),
)


@pytest.fixture(scope="module")
def adapted(adapted_of: Attach) -> Adapted:
    found: Adapted = adapted_of("llama", task="multiple-choice", kind="lora", targets=("q_proj", "v_proj", "o_proj"))
    noise = np.random.default_rng(0).standard_normal(found.spec.size).astype(np.float32)
    found.write(AdapterState(found.spec, found.initial.vector + np.float32(0.3) * noise))
    return found


def examples_of(adapted: Adapted, questions: tuple[Record, ...] = QUESTIONS, **task: Any) -> Examples:
    config = adapted.experiment.task.model_copy(update=task)
    units = [[row] for row in range(len(questions))]
    return make_examples(questions, units, tokenizer=adapted.tokenizer, task=config)


def one_by_one(adapted: Adapted, question: Record) -> list[tuple[float, int]]:
    """Of each choice the summed −log p of its tokens and the end, and their number, by transformers' own loss."""
    assert adapted.tokenizer is not None
    found = []
    for choice in question.choices:
        head = adapted.tokenizer(f"{question.prompt}\n")["input_ids"]
        tail = [*adapted.tokenizer(choice)["input_ids"], adapted.tokenizer.eos_token_id]
        with torch.no_grad():
            loss = adapted.module(
                input_ids=torch.tensor([head + tail]), labels=torch.tensor([[-100] * len(head) + tail])
            ).loss
        found.append((float(loss) * len(tail), len(tail)))
    return found


def test_a_row_is_trained_with_transformers_own_loss_of_its_right_choice(adapted: Adapted) -> None:
    task = make_task(adapted.experiment.task)
    (rows,) = examples_of(adapted).load(np.arange(4), micro_batch=8)
    order = [int(np.argmax([ids[0] == adapted.tokenizer(q.prompt)["input_ids"][0] for q in QUESTIONS]))  # type: ignore[misc]
             for ids in rows.tensors["input_ids"].tolist()]  # fmt: skip
    with torch.no_grad():
        losses = task.losses(adapted.module, rows.tensors)
    wanted = [one_by_one(adapted, QUESTIONS[place])[QUESTIONS[place].label] for place in order]
    assert losses.tolist() == pytest.approx([total / count for total, count in wanted], rel=1e-4)
    assert set(rows.tensors) == {"input_ids", "attention_mask", "labels"}


@pytest.mark.parametrize("score", ["mean", "sum"])
def test_the_answer_is_the_choice_that_is_likeliest_one_by_one(adapted: Adapted, score: str) -> None:
    totals = [one_by_one(adapted, question) for question in QUESTIONS]
    likeliest = [
        int(np.argmin([total / (count if score == "mean" else 1) for total, count in choices])) for choices in totals
    ]
    asked = tuple(
        Record("", prompt=question.prompt, choices=question.choices, label=(place + int(number == 2)) % 4)
        for number, (question, place) in enumerate(zip(QUESTIONS, likeliest, strict=True))
    )
    task = make_task(adapted.experiment.task.model_copy(update={"choice_score": score}))
    found = [evaluate(adapted.module, task, examples_of(adapted, asked), micro_batch=size) for size in (1, 3, 8)]
    assert [each.accuracy for each in found] == [0.75] * 3
    losses = [total / count for choices, q in zip(totals, asked, strict=True) for total, count in [choices[q.label]]]
    assert [each.loss for each in found] == pytest.approx([np.mean(losses)] * 3, rel=1e-4)
    assert (found[0].perplexity, found[0].examples) == (None, 4)
    assert row_losses(adapted.module, task, examples_of(adapted, asked), micro_batch=3) == pytest.approx(
        losses, rel=1e-4
    )


def test_mean_and_sum_may_answer_otherwise(adapted: Adapted) -> None:
    answers = {
        score: [
            int(
                np.argmin([total / (count if score == "mean" else 1) for total, count in one_by_one(adapted, question)])
            )
            for question in QUESTIONS
        ]
        for score in ("mean", "sum")
    }
    assert answers["mean"] != answers["sum"]


def test_all_choices_of_a_question_lose_the_same_of_its_beginning(adapted: Adapted) -> None:
    # the longest choice, w52 w53 and the end, leaves room for two of the question's tokens
    (rows,) = examples_of(adapted, QUESTIONS[2:3], max_length=5).rows_in_order(1)
    assert adapted.tokenizer is not None
    kept = adapted.tokenizer("w9 w10")["input_ids"]
    assert [row[:2] for row in rows.tensors["choice_ids"][0].tolist()] == [kept] * 4
    assert (rows.tensors["choice_labels"][0] >= 0).sum(1).tolist() == [2, 2, 2, 3]


def test_a_question_is_one_row_of_its_unit_however_many_choices_it_has(adapted: Adapted) -> None:
    examples = make_examples(QUESTIONS, [[0, 2], [1], [3]], tokenizer=adapted.tokenizer, task=adapted.experiment.task)
    assert (examples.units, examples.rows) == (3, 4)
    rows = examples.together(np.array([0, 2]))
    assert rows.unit.tolist() == [0, 0, 1]
    assert sum(each.count for each in examples.rows_in_order(3)) == 4


def test_gradients_of_single_questions_are_right(adapted: Adapted) -> None:
    rows, losses = next(examples_of(adapted).rows_in_order(2)), make_task(adapted.experiment.task).losses
    assert choose_engine("auto", adapted.module, losses, rows) == "grouped"
    check_per_sample_gradients(adapted.module, losses, rows, "hooks")


def test_a_model_that_was_taught_the_answers_finds_them(adapted_of: Attach) -> None:
    adapted = adapted_of("llama", task="multiple-choice", kind="full")
    task, examples = make_task(adapted.experiment.task), examples_of(adapted)
    before = evaluate(adapted.module, task, examples, micro_batch=4)
    optimizer = torch.optim.Adam(adapted.trained.values(), lr=0.01)
    (rows,) = examples.load(np.arange(4), micro_batch=8)
    for _ in range(30):
        optimizer.zero_grad()
        task.losses(adapted.module, rows.tensors).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = evaluate(adapted.module, task, examples, micro_batch=4)
    assert after.accuracy == 1.0
    assert before.accuracy != 1.0
    assert after.loss < 0.5 * before.loss


def test_an_export_reloads_as_a_causal_model(tmp_path: Path, adapted: Adapted) -> None:
    export(adapted, adapted.read(), tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(adapted.experiment.model.source)
    reloaded = PeftModel.from_pretrained(base, tmp_path / "out").eval()
    ids = torch.tensor([[5, 9, 27, 4]])
    with torch.no_grad():
        torch.testing.assert_close(reloaded(ids).logits, adapted.module(ids).logits, rtol=1e-4, atol=1e-4)
    assert reloaded.active_peft_config.task_type == "CAUSAL_LM"


# ---- how a table is read ----


def read(rows: list[dict[str, Any]], experiment_of: Callable[..., Experiment], **data: Any) -> list[Record]:
    experiment = experiment_of("llama", task="multiple-choice")
    experiment = experiment.model_copy(update={"data": DataConfig(**data)})
    return to_records(datasets.Dataset.from_list(rows), experiment, source="exam.jsonl")


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (["liver", "lung", "heart"], 2),
        (["liver", "lung", "heart"], "C"),
        (["liver", "lung", "heart"], "c"),
        (["liver", "lung", "heart"], "2"),
        (["liver", "lung", "heart"], "heart"),
        ('["liver", "lung", "heart"]', "2"),
        ({"A": "liver", "B": "lung", "C": "heart"}, "C"),
        ('{"1": "liver", "x": "lung", "3.": "heart"}', "3."),
        (["0", "1", "2"], 2),
    ],
)
def test_choices_and_answers_come_in_many_forms(
    given: Any, answer: Any, experiment_of: Callable[..., Experiment]
) -> None:
    (record,) = read([{"question": "Which one beats?", "choices": given, "answer": answer}], experiment_of)
    assert (record.label, record.choices[2]) == (2, "2" if given == ["0", "1", "2"] else "heart")


def test_a_column_a_choice_may_be_empty_at_the_end(experiment_of: Callable[..., Experiment]) -> None:
    rows: list[dict[str, Any]] = [
        {"q": "one", "a": "x", "b": "y", "c": "z", "n": "2"},
        {"q": "two", "a": "x", "b": "y", "c": None, "n": "0"},
    ]
    found = read(rows, experiment_of, question="q", choices=("a", "b", "c"), answer="n")
    assert [(record.choices, record.label) for record in found] == [(("x", "y", "z"), 2), (("x", "y"), 0)]


@pytest.mark.parametrize(
    ("given", "answer", "words"),
    [
        (["x", "y"], 2, r"data\.answer: record 1 of data 'exam\.jsonl': 2 is none of the choices"),
        (["x", "y"], -1, "is none of the choices"),
        (["x", "y"], None, "is none of the choices"),
        (["x", "y"], "z", "among A, B, or its text"),
        (["1", "0"], "1", "may mean one choice or another"),
        (["x", "x"], "x", "may mean one choice or another"),
        (["x"], 0, r"data\.choices: record 1 .*a list of 2 to 26 texts was expected"),
        (["x", " "], 0, "a list of 2 to 26 texts was expected"),
        ("x or y", "x", "a list of 2 to 26 texts was expected, not 'x or y'"),
        ("[1, 2]", 0, "a list of 2 to 26 texts was expected"),
    ],
)
def test_what_is_no_question_is_named(
    given: Any, answer: Any, words: str, experiment_of: Callable[..., Experiment]
) -> None:
    with pytest.raises(DataError, match=words):
        read([{"question": "Which?", "choices": given, "answer": answer}], experiment_of)


def test_a_question_is_known_again_whatever_its_right_answer_is(experiment_of: Callable[..., Experiment]) -> None:
    rows = [{"question": "Which?", "choices": ["x", "y"], "answer": answer} for answer in (0, 1)]
    one, other = read(rows, experiment_of)
    assert one.tag == other.tag != Record("", prompt="Which?", choices=("x", "z"), label=0).tag


def test_one_column_of_choices_needs_no_list(experiment_of: Callable[..., Experiment]) -> None:
    (record,) = read([{"question": "Which?", "options": ["x", "y"], "answer": 1}], experiment_of, choices="options")
    assert record.choices == ("x", "y")
    with pytest.raises(ValidationError, match="at least 1 item"):
        DataConfig(choices=())


def test_what_does_not_go_with_it_is_one_line(experiment_of: Callable[..., Experiment]) -> None:
    content = experiment_of("llama", task="multiple-choice").model_dump()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"data": {"prompt": "p", "response": "r"}}, r"reads data\.question, data\.choices and data\.answer"),
        ({"training": {"loss": "goldfish"}}, "causal-lm was expected, not multiple-choice"),
        ({"data": {"canaries": {}}}, "causal-lm was expected, not multiple-choice"),
    ]
    for change, words in changes:
        with pytest.raises(ValidationError, match=words):
            Experiment.model_validate({**content, **change})
