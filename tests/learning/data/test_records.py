from typing import Any

import datasets
import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.records import Record, to_records


def experiment_with(*, labels: tuple[str, ...] = ("red", "green"), **data: Any) -> Experiment:
    kind = "sequence-classification" if labels else "causal-lm"
    return Experiment.model_validate(
        {
            "model": {"source": "tiny"},
            "task": {"kind": kind, "labels": labels},
            "data": data,
            "privacy": {"level": "none"},
        }
    )


def read(rows: list[dict[str, Any]], experiment: Experiment, *, common: bool = False) -> list[Record]:
    return to_records(datasets.Dataset.from_list(rows), experiment, source="a.csv", common=common)


def test_a_label_becomes_its_place_in_the_list_of_labels() -> None:
    rows = [{"text": "a", "label": "green"}, {"text": "b", "label": "red"}]

    assert [record.label for record in read(rows, experiment_with())] == [1, 0]


def test_numbers_are_labels_and_units_too() -> None:
    rows: list[dict[str, Any]] = [{"text": "a", "label": 1, "person": 3.0}, {"text": "b", "label": 0, "person": 4.0}]

    records = read(rows, experiment_with(labels=("0", "1"), unit="person"))

    assert [(record.label, record.unit) for record in records] == [(1, "3"), (0, "4")]


def test_class_labels_of_a_saved_dataset_are_names() -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["green", "red"])}
    )
    table = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features)

    assert [record.label for record in to_records(table, experiment_with(), source="x")] == [1, 0]


@pytest.mark.parametrize(
    ("rows", "data", "message"),
    [
        ([{"words": "a", "label": "red"}], {}, "data.text: data 'a.csv' has no column 'text'; it has 'words', 'label'"),
        ([{"text": "a"}], {}, "data.label: data 'a.csv' has no column 'label'"),
        ([{"text": "a", "label": "red"}], {"unit": "person"}, "data.unit: data 'a.csv' has no column 'person'"),
        ([{"text": "a", "label": "gren"}], {}, "record 1 of data 'a.csv' has the label 'gren'.*nearest is 'green'"),
        ([{"text": "a", "label": "red"}, {"text": None, "label": "red"}], {}, "record 2 of data 'a.csv' has nothing"),
        ([{"text": "a", "label": "red"}, {"text": " ", "label": "red"}], {}, "record 2 of data 'a.csv' has nothing"),
        ([{"text": "a", "label": None}, {"text": "b", "label": "red"}], {}, "record 1 .* nothing in column 'label'"),
        ([{"text": 3, "label": "red"}], {}, "column 'text' of data 'a.csv' holds int, text was expected"),
    ],
)
def test_a_bad_record_is_named_in_one_line(rows: list[dict[str, Any]], data: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(rows, experiment_with(**data))


def test_blank_lines_of_a_text_file_are_no_records() -> None:
    rows = [{"text": "a"}, {"text": ""}, {"text": "b"}]

    assert [record.text for record in read(rows, experiment_with(labels=()))] == ["a", "b"]


def test_a_split_without_labels_needs_a_column() -> None:
    experiment = experiment_with(labels=(), split={"kind": "dirichlet"})

    with pytest.raises(DataError, match=r"data\.split\.column"):
        read([{"text": "a"}], experiment, common=True)


def test_a_record_keeps_its_tag_under_another_label_unit_or_spacing() -> None:
    record = Record("some words", label=1, unit="p", group="g")

    assert record.tag == Record(" some  words\n", label=0).tag
    assert record.tag != Record("some word").tag


def test_prompt_and_response_do_not_run_into_each_other_in_the_tag() -> None:
    assert Record("b", prompt="a").tag != Record("ab").tag
