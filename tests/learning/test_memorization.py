"""What a model recites: prompts, split points, and who is caught."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.learning.test_learner import with_fields

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.errors import DataError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.data import NodeRecords
from gossipfl.learning.data.canaries import Canary
from gossipfl.learning.data.records import Record
from gossipfl.learning.memorization import SHORTEST, attack, bleu, passages_of, prompt_lengths
from gossipfl.learning.models import load_base

TEXT = """
model: {source: anything}
task: {kind: causal-lm, max_length: %d}
memorization: {continuation: %d}
privacy: {level: none}
"""
CONTINUATION = 10


def of_length(limit: int, continuation: int = 50) -> Experiment:
    return parse_experiment(TEXT % (limit, continuation), source="x")


@pytest.fixture
def adapted(experiment_of: Callable[..., Experiment]) -> Adapted:
    sections: dict[str, dict[str, Any]] = {
        "task": {"max_length": 40},
        "memorization": {"continuation": CONTINUATION, "prompts": (5, 20)},
    }
    experiment = with_fields(experiment_of("llama", task="causal-lm", kind="full"), **sections)
    return attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)


def owner_of(*lengths: int) -> NodeRecords:
    draw = np.random.default_rng(0)
    records = tuple(Record(" ".join(f"w{word}" for word in draw.integers(0, 60, length))) for length in lengths)
    canaries = tuple(Canary(row, 10 if row == 0 else 1) for row in range(len(records)))
    return NodeRecords(records, (), (), 0, (), canaries)


def learn(adapted: Adapted, ids: np.ndarray[Any, Any]) -> None:
    """Overfits to the row, read from any of its first half on: a prompt begins in the middle of a passage."""
    row = torch.from_numpy(ids)[None]
    optimizer = torch.optim.Adam(adapted.trained.values(), lr=0.01)
    for step in range(200):
        part = row[:, step % 20 :]
        optimizer.zero_grad()
        adapted.module(input_ids=part, labels=part).loss.backward()
        optimizer.step()


@pytest.mark.slow
def test_a_passage_learned_by_heart_is_recited_and_another_is_not(adapted: Adapted) -> None:
    passages = passages_of(adapted.experiment, owner_of(39, 39), adapted)
    learn(adapted, passages[0].ids)

    attempts = attack(adapted, passages)

    assert [(one.passage, one.copies, one.prompt) for one in attempts] == [
        (number, copies, prompt) for prompt in (5, 20) for number, copies in ((0, 10), (1, 1))
    ]
    # five words may be too few to tell where in the passage they are
    assert all(one.exact and one.bleu == pytest.approx(1.0) for one in attempts if (one.passage, one.prompt) == (0, 20))
    assert not any(one.exact or one.bleu >= 0.75 for one in attempts if one.passage == 1)
    assert not adapted.module.training


@pytest.mark.slow
def test_a_continuation_that_ends_early_is_no_recital(adapted: Adapted) -> None:
    passages = passages_of(adapted.experiment, owner_of(39), adapted)
    split = passages[0].split
    assert adapted.tokenizer is not None
    early = np.concatenate([passages[0].ids[: split + 3], [adapted.tokenizer.eos_token_id]])
    learn(adapted, early)

    (short, long) = attack(adapted, passages)

    assert not any(one.exact for one in (short, long))
    assert long.bleu < 0.75


@given(st.integers(60, 2000))
def test_prompts_shrink_with_the_context_in_proportion(limit: int) -> None:
    lengths = prompt_lengths(of_length(limit))

    assert list(lengths) == sorted(set(lengths))
    assert lengths[0] >= SHORTEST
    assert lengths[-1] + 50 <= limit
    assert (lengths == (10, 50, 100, 200, 500)) == (0.75 * (limit - 50) >= 500)


def test_a_context_without_room_for_a_prompt_is_refused() -> None:
    with pytest.raises(DataError, match=r"task.max_length: 52 tokens leave no prompt"):
        prompt_lengths(of_length(52))


def test_a_passage_that_is_too_short_is_refused(adapted: Adapted) -> None:
    with pytest.raises(DataError, match=r"data.canaries.characters: a passage comes to \d+ tokens; 30 were expected"):
        passages_of(adapted.experiment, owner_of(20), adapted)


def test_split_points_are_the_seeds(adapted: Adapted) -> None:
    def splits(experiment: Experiment) -> list[int]:
        return [passage.split for passage in passages_of(experiment, owner_of(*[39] * 12), adapted)]

    other = adapted.experiment.model_copy(update={"seed": 1})
    assert splits(adapted.experiment) == splits(adapted.experiment)
    assert splits(adapted.experiment) != splits(other)
    assert all(20 <= split <= 30 for split in splits(other))


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=50))
def test_bleu_of_the_same_is_one_and_of_nothing_in_common_none(ids: list[int]) -> None:
    same = np.array(ids)
    assert bleu(same, same) == pytest.approx(1.0)
    assert bleu(same + 2000, same) < 0.01


def test_bleu_counts_runs_of_words_not_words() -> None:
    truth = np.arange(50)
    one_wrong = np.where(truth == 25, 99, truth)
    every_other_wrong = np.where(truth % 2, 99, truth)

    # 49/50, 47/49, 45/48, 43/47: geometric mean
    assert bleu(one_wrong, truth) == pytest.approx((49 / 50 * 47 / 49 * 45 / 48 * 43 / 47) ** 0.25, abs=1e-6)
    assert bleu(every_other_wrong, truth) < 0.2
