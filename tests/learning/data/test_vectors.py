"""Columns of numbers: what is taken, what is refused, and what the account knows a record by."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from tests.learning.vectors import vector_experiment

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.data.vectors import matrix_of

ROWS: list[dict[str, Any]] = [
    {"features": [0.0, 0.5, 1.0], "label": "a"},
    {"features": [2.0, -3.5, 4.0], "label": "b"},
]


def experiment_with(**data: Any) -> Experiment:
    return vector_experiment(
        labels=("a", "b"), model={"source": "builtin:logistic", "inputs": 3}, data={"source": "x", **data}
    )


def read(rows: list[dict[str, Any]], **data: Any) -> list[Record]:
    return to_records(datasets.Dataset.from_list(rows), experiment_with(**data), source="a.json", common=True)


def values(records: list[Record]) -> list[list[float]]:
    matrix: list[list[float]] = matrix_of([record.features for record in records]).tolist()
    return matrix


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: path.write_text('features,label\n"[0, 0.5, 1]",a\n"[2, -3.5, 4]",b\n'),
    "a.json": lambda path: path.write_text(json.dumps(ROWS)),
    "a.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "a.parquet": lambda path: datasets.Dataset.from_list(ROWS).to_parquet(path),
    "saved": lambda path: datasets.Dataset.from_list(ROWS[::-1]).select([1, 0]).save_to_disk(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_with_a_list_column_gives_the_same_records(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    records = to_records(read_table(name, folder=tmp_path), experiment_with(), source=name)

    assert values(records) == [row["features"] for row in ROWS]
    assert [(record.label, record.text, record.prompt) for record in records] == [(0, "", None), (1, "", None)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"x": [1.0], "label": "a"}], "data.features: data 'a.json' has no column 'features'; it has 'x', 'label'"),
        ([ROWS[0], {"features": [1.0, 2.0], "label": "a"}], "record 2 has 2 numbers .* model.inputs is 3"),
        ([{"features": [], "label": "a"}], "record 1 has 0 numbers"),
        ([ROWS[0], {"features": None, "label": "a"}], "record 2 has nothing in column 'features'"),
        ([ROWS[0], {"features": [1.0, math.nan, 0.0], "label": "a"}], "record 2 has a number .* not finite"),
        ([{"features": [1.0, math.inf, 0.0], "label": "a"}], "record 1 has a number .* not finite"),
        ([{"features": [1.0, None, 0.0], "label": "a"}], "record 1 has a number .* not finite"),
        ([{"features": [1e39, 0.0, 0.0], "label": "a"}], "not finite in float32"),
        ([{"features": ["1", "2", "3"], "label": "a"}], "lists of numbers were expected"),
        ([{"features": 1.0, "label": "a"}], "holds double, lists of numbers were expected"),
        ([{"features": "some words", "label": "a"}], "holds text, lists of numbers"),
        ([{"features": [[1.0, 2.0, 3.0]], "label": "a"}], "lists of numbers were expected"),
        ([{**ROWS[0], "label": "c"}], "record 1 of data 'a.json' has the label 'c'"),
        ([{"features": [0.0, 0.5, 1.0]}], "data.label: data 'a.json' has no column 'label'"),
    ],
)
def test_a_bad_record_is_named_in_one_line(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(rows)

    assert "\n" not in str(caught.value)


def test_whole_numbers_are_numbers() -> None:
    assert values(read([{"pixels": [0, 128, 255], "label": "a"}], features="pixels")) == [[0.0, 128.0, 255.0]]


def test_the_account_knows_numbers_again_under_another_label_and_sign_of_zero() -> None:
    first, again, other = read(
        [
            {"features": [0.0, 1.0, 2.0], "label": "a"},
            {"features": [-0.0, 1.0, 2.0], "label": "b"},
            {"features": [1.0, 0.0, 2.0], "label": "a"},
        ]
    )

    assert first.tag == again.tag != other.tag
    assert len(first.tag) == 32
    assert first.tag != Record("").tag


FLOATS = st.floats(-1e6, 1e6, width=32)


@given(
    matrix=arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=FLOATS),
    micro_batch=st.integers(1, 5),
)
def test_examples_hand_out_the_very_numbers(matrix: NDArray[np.float32], micro_batch: int) -> None:
    rows = [{"features": vector.tolist(), "label": "ab"[place % 2]} for place, vector in enumerate(matrix)]
    examples = examples_of(read(rows))

    batches = list(examples.rows_in_order(micro_batch))
    loaded = list(examples.load(np.arange(len(matrix))[::-1], micro_batch))

    assert np.array_equal(np.concatenate([batch.tensors["features"].numpy() for batch in batches]), matrix)
    assert np.array_equal(np.concatenate([batch.tensors["features"].numpy() for batch in loaded]), matrix[::-1])
    assert [int(label) for batch in batches for label in batch.tensors["labels"]] == [p % 2 for p in range(len(matrix))]


def examples_of(records: list[Record]) -> Examples:
    units = [[row] for row in range(len(records))]
    return make_examples(records, units, tokenizer=None, task=experiment_with().task)


def test_no_record_is_no_batch() -> None:
    examples = make_examples([], [], tokenizer=None, task=experiment_with().task)

    assert (examples.rows, list(examples.rows_in_order(4)), list(examples.load(np.array([], np.int64), 4))) == (
        0,
        [],
        [],
    )
