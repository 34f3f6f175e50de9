"""Which tokens goldfish loss leaves out, and of which examples."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.learning.data.test_tokens import TOKENIZERS

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.config.training import GoldfishConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.data import DataSite, load_node_data
from gossipfl.learning.data.examples import IGNORED, Examples
from gossipfl.learning.data.goldfish import left_out

IDS = st.lists(st.integers(0, 50_000), max_size=60)
CONFIGS = st.builds(GoldfishConfig, k=st.integers(2, 6), h=st.integers(1, 15))
BASE = """
model: {source: anything}
task: {kind: causal-lm, max_length: 200}
data: {held_out: 0.3, test: test.jsonl}
privacy: {level: none}
"""


def of_rows(*rows: list[int], config: GoldfishConfig) -> list[list[bool]]:
    lengths = np.cumsum([0, *map(len, rows)])
    flat = np.array([token for row in rows for token in row], np.int32)
    out = left_out(flat, lengths.astype(np.int64), config)
    return [out[first:end].tolist() for first, end in pairwise(lengths)]


@given(IDS, IDS, IDS, CONFIGS)
def test_copies_of_a_passage_leave_out_the_same_tokens_wherever_they_stand(
    before: list[int], passage: list[int], behind: list[int], config: GoldfishConfig
) -> None:
    alone, inside = of_rows(passage, [*before, *passage, *behind], config=config)

    copy = inside[len(before) : len(before) + len(passage)]
    assert copy[config.h :] == alone[config.h :]


@given(IDS, IDS, CONFIGS)
def test_the_first_tokens_of_a_row_always_count(one: list[int], other: list[int], config: GoldfishConfig) -> None:
    for row in of_rows(one, other, config=config):
        assert not any(row[: config.h])


@given(st.integers(0, 2**32), st.integers(2, 8), st.integers(1, 20))
@settings(max_examples=30)
def test_about_one_token_in_k_is_left_out(seed: int, k: int, h: int) -> None:
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, 49_152, 20_000).astype(np.int32)

    share = left_out(ids, np.array([0, len(ids)]), GoldfishConfig(k=k, h=h)).mean()

    # five deviations of as many independent draws
    assert abs(share - 1 / k) < 5 * np.sqrt(0.25 / len(ids)) + h / len(ids)


def test_the_order_of_the_tokens_before_counts() -> None:
    config = GoldfishConfig(k=2, h=3)
    ends = [of_rows([*row, 9], config=config)[0][-1] for row in ([0, 0, n] for n in range(64))]
    turned = [of_rows([*row, 9], config=config)[0][-1] for row in ([n, 0, 0] for n in range(64))]

    assert ends != turned
    assert 15 < sum(ends) < 49


def test_exactly_the_tokens_before_decide() -> None:
    config = GoldfishConfig(k=2, h=3)
    row = [5, 8, 13, 21, 34, 55]

    def told(place: int) -> set[bool]:
        """About the fifth token, when the one at this place is any."""
        return {of_rows([*row[:place], n, *row[place + 1 :]], config=config)[0][4] for n in range(64)}

    assert [len(told(place)) for place in range(6)] == [1, 2, 2, 2, 1, 1]


def examples_of(folder: Path, experiment: Experiment) -> tuple[Examples, Examples, Examples]:
    draw = np.random.default_rng(3)
    for name in ("own", "test"):
        rows = [{"text": " ".join(draw.choice(["what", "is", "it?", "an", "answer"], 40))} for _ in range(20)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = load_node_data(experiment, DataSite("a", ("a",), "own.jsonl", folder, folder), TOKENIZERS["plain"])
    assert data.test is not None
    return data.train, data.held_out, data.test


def counted(examples: Examples) -> float:
    """Part of the tokens that count in the loss."""
    tensors = [rows.tensors for rows in examples.rows_in_order(1)]
    return float(np.mean([float((each["labels"] != IGNORED).float().mean()) for each in tensors]))


def test_what_is_evaluated_counts_every_token_and_what_is_trained_does_not(tmp_path: Path) -> None:
    goldfish = {"training": {"loss": "goldfish", "goldfish": {"k": 3, "h": 4}}}
    plain = parse_experiment(BASE, source="x")
    fish = Experiment.model_validate({**plain.model_dump(), **goldfish})

    train, held_out, test = map(counted, examples_of(tmp_path, fish))

    assert abs(train - 2 / 3) < 0.08
    assert (held_out, test) == (1.0, 1.0)
    assert [counted(examples) for examples in examples_of(tmp_path, plain)] == [1.0, 1.0, 1.0]


def test_labels_are_missing_where_tokens_are_left_out_also_beside_longer_rows(tmp_path: Path) -> None:
    config = GoldfishConfig(k=3, h=4)
    goldfish = {"training": {"loss": "goldfish", "goldfish": config.model_dump()}}
    fish = Experiment.model_validate({**parse_experiment(BASE, source="x").model_dump(), **goldfish})
    train, _, _ = examples_of(tmp_path, fish)

    (rows,) = train.rows_in_order(train.rows)
    ids, labels, there = (rows.tensors[name] for name in ("input_ids", "labels", "attention_mask"))

    lengths = there.sum(1).tolist()
    assert len(set(lengths)) > 1
    for row, own, length in zip(ids.tolist(), labels.tolist(), lengths, strict=True):
        out = of_rows(row[:length], config=config)[0]
        kept = [IGNORED if gone else token for token, gone in zip(row[:length], out, strict=True)]
        assert own == kept + [IGNORED] * (len(row) - length)


def test_it_is_for_causal_language_models_only() -> None:
    text = BASE.replace("{kind: causal-lm, max_length: 200}", "{kind: sequence-classification, labels: [a, b]}")
    with pytest.raises(
        ConfigError, match=r"training.loss goldfish.*causal-lm was expected, not sequence-class"
    ) as found:
        parse_experiment(text + "training: {loss: goldfish}\n", source="x.yaml")
    assert "\n" not in str(found.value)


def test_its_settings_without_it_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"goldfish: is for loss goldfish, not every_token"):
        parse_experiment(BASE + "training: {goldfish: {k: 3}}\n", source="x.yaml")
