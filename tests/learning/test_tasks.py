import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.records import Record
from gossipfl.learning.evaluation import evaluate
from gossipfl.learning.tasks import make_task

TEXTS = ("w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10", "w11 w12")


def examples_for(adapted: Adapted, *, prompted: bool = False) -> Examples:
    records = [
        Record(text, prompt="w40 w41" if prompted else None, label=row % 3 if adapted.labels else -1)
        for row, text in enumerate(TEXTS)
    ]
    units = [[row] for row in range(len(records))]
    return make_examples(records, units, tokenizer=adapted.tokenizer, task=adapted.experiment.task)


@pytest.mark.parametrize(
    ("name", "task", "prompted"),
    [
        ("bert", "sequence-classification", False),
        ("gpt2", "causal-lm", False),
        ("llama", "causal-lm", False),
        ("llama", "causal-lm", True),
    ],
)
def test_a_row_in_a_batch_has_the_loss_that_transformers_gives_it_alone(
    name: str, task: str, *, prompted: bool, adapted_of: Callable[..., Adapted]
) -> None:
    adapted = adapted_of(name, task=task)
    examples = examples_for(adapted, prompted=prompted)
    (together,) = examples.rows_in_order(len(TEXTS))

    with torch.no_grad():
        losses = make_task(adapted.experiment.task).losses(adapted.module, together.tensors)
        alone = [adapted.module(**rows.tensors).loss for rows in examples.rows_in_order(1)]

    torch.testing.assert_close(losses, torch.stack(alone), rtol=1e-5, atol=1e-5)


def test_perplexity_counts_tokens_and_loss_counts_rows(adapted_of: Callable[..., Adapted]) -> None:
    adapted = adapted_of("llama", task="causal-lm")
    examples, task = examples_for(adapted), make_task(adapted.experiment.task)
    with torch.no_grad():
        scores = [task.scores(adapted.module, rows.tensors) for rows in examples.rows_in_order(1)]

    result = evaluate(adapted.module, task, examples, micro_batch=2)

    tokens = [int(score.tokens) for score in scores]
    losses = [float(score.losses) for score in scores]
    assert tokens == [3, 1, 6, 2]
    assert result.loss == pytest.approx(sum(losses) / 4, rel=1e-5)
    mean = sum(loss * count for loss, count in zip(losses, tokens, strict=True)) / sum(tokens)
    assert result.perplexity == pytest.approx(math.exp(mean), rel=1e-5)
    assert (result.accuracy, result.examples) == (None, 4)


def test_tokens_said_first_are_counted_over_all_tokens_each_after_the_true_ones(
    adapted_of: Callable[..., Adapted],
) -> None:
    adapted = adapted_of("llama", task="causal-lm")
    examples, task = examples_for(adapted), make_task(adapted.experiment.task)
    said = [
        int(adapted.module(input_ids=ids[:, :end]).logits[0, -1].argmax()) == int(ids[0, end])
        for rows in examples.rows_in_order(1)
        for ids in (rows.tensors["input_ids"],)
        for end in range(1, ids.shape[1])
    ]
    adapted.module.train()
    result = evaluate(adapted.module, task, examples, micro_batch=3)
    assert len(said) == 12
    assert result.token_accuracy == pytest.approx(sum(said) / 12)
    assert result.perplexity is not None


def test_a_model_that_was_taught_a_passage_says_all_of_it_first(adapted_of: Callable[..., Adapted]) -> None:
    adapted = adapted_of("llama", task="causal-lm")
    examples, task = examples_for(adapted), make_task(adapted.experiment.task)
    (rows,) = examples.rows_in_order(len(TEXTS))
    optimizer = torch.optim.Adam(adapted.module.requires_grad_().parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        task.losses(adapted.module, rows.tensors).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    result = evaluate(adapted.module, task, examples, micro_batch=2)
    # what a row begins with is given
    assert result.token_accuracy == 1.0
    assert bool(task.hits(adapted.module, rows.tensors).all())


def test_evaluation_does_not_depend_on_the_micro_batch_and_leaves_the_mode_alone(
    adapted_of: Callable[..., Adapted],
) -> None:
    adapted = adapted_of("bert")
    examples, task = examples_for(adapted), make_task(adapted.experiment.task)
    adapted.module.train()

    results = [evaluate(adapted.module, task, examples, micro_batch=size) for size in (1, 3, 100)]

    assert [result.loss for result in results] == pytest.approx([results[0].loss] * 3, rel=1e-5)
    assert len({result.accuracy for result in results}) == 1
    assert adapted.module.training


def test_no_examples_are_no_score(adapted_of: Callable[..., Adapted]) -> None:
    adapted = adapted_of("bert")
    none = make_examples([], [], tokenizer=adapted.tokenizer, task=adapted.experiment.task)

    result = evaluate(adapted.module, make_task(adapted.experiment.task), none, micro_batch=4)

    assert (math.isnan(result.loss), result.accuracy, result.examples) == (True, None, 0)


class NextToken(torch.nn.Module):
    """A language model that finds every token equally likely."""

    def forward(self, input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 5))


def test_a_row_of_one_token_has_nothing_to_predict() -> None:
    ones = torch.ones(2, 1, dtype=torch.int64)
    tensors = {"input_ids": ones, "attention_mask": ones, "labels": ones}

    assert make_task(TaskConfig(kind="causal-lm")).losses(NextToken(), tensors).tolist() == [0.0, 0.0]


def test_losses_and_gradients_are_the_same_bits_whether_few_tokens_count_or_most() -> None:
    losses = make_task(TaskConfig(kind="causal-lm")).losses
    random = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(2, 9, 37, generator=random), torch.randint(0, 37, (2, 9), generator=random)
    # beside as many rows of which nothing counts fewer than half of the tokens do
    silent = torch.full((4, 9), -100)

    def found(added: int) -> tuple[torch.Tensor, torch.Tensor]:
        given = torch.cat([logits, torch.zeros(added, 9, 37)]).requires_grad_()
        rows = {"input_ids": labels, "attention_mask": labels, "labels": torch.cat([labels, silent[:added]])}
        lost = losses(lambda **_: SimpleNamespace(logits=given), rows)  # type: ignore[arg-type]
        lost.sum().backward()  # type: ignore[no-untyped-call]
        assert given.grad is not None
        return lost[:2].detach(), given.grad[:2]

    few, most = found(4), found(0)
    assert torch.equal(few[0], most[0])
    assert torch.equal(few[1], most[1])
