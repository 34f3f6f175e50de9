"""The mean over classes of F1, as scikit-learn counts it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.tasks import make_task, measured
from gossipfl.learning.tasks.f1 import macro_f1

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)


@settings(max_examples=30)
@given(pairs)
def test_it_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, said = (torch.tensor(column) for column in zip(*pairs, strict=True))
    assert macro_f1(true, said, classes=6) == pytest.approx(f1_score(true, said, average="macro"))


def test_a_class_that_nobody_has_costs_nothing_until_it_is_said() -> None:
    true = torch.tensor([0, 0, 1, 1])
    assert macro_f1(true, true, classes=10) == 1.0
    assert macro_f1(true, torch.tensor([0, 0, 1, 9]), classes=10) == pytest.approx((1 + 2 / 3 + 0) / 3)


class Echo(nn.Module):
    """Says the class that stands in the features."""

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.one_hot(features[:, 0].long(), 3).float()


def test_a_task_measures_it_over_all_micro_batches_at_once() -> None:
    config = TaskConfig(kind="vector-classification", labels=("a", "b", "c"))
    task = make_task(config)
    said, true = torch.tensor([0.0, 1, 1, 2]), torch.tensor([0, 1, 2, 2])
    answers = [
        task.scores(Echo(), {"features": said[part, None], "labels": true[part]}).answers
        for part in (slice(3), slice(3, 4))
    ]
    assert measured(config) == ("macro_f1",)
    assert task.measure(answers)["macro_f1"] == pytest.approx(f1_score(true, said, average="macro"))
