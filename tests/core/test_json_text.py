"""Strict JSON for whatever a result holds."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.json_text import json_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@dataclass(frozen=True, slots=True)
class Point:
    name: str
    values: tuple[float, ...]


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


@given(value=VALUES)
def test_every_value_becomes_one_line_of_strict_json(value: object) -> None:
    text = json_text(value)
    assert "\n" not in text
    json.loads(text, parse_constant=refuse)


def test_nan_is_null_and_infinity_a_word_that_reads_back() -> None:
    text = json_text({"nan": math.nan, "up": math.inf, "down": -math.inf})
    read = json.loads(text)
    assert read == {"nan": None, "up": "Infinity", "down": "-Infinity"}
    assert float(read["up"]) == math.inf


def test_dataclasses_paths_sets_and_numpy_are_taken_apart() -> None:
    value = {
        "point": Point("a", (1.0, math.nan)),
        "path": Path("x/y"),
        "set": frozenset({"b", "a"}),
        "scalar": np.float32(0.5),
        "array": np.array([[1, 2]]),
        3: "number as key",
    }
    assert json.loads(json_text(value)) == {
        "point": {"name": "a", "values": [1.0, None]},
        "path": "x/y",
        "set": ["a", "b"],
        "scalar": 0.5,
        "array": [[1, 2]],
        "3": "number as key",
    }


def test_what_has_no_place_in_json_is_a_bug() -> None:
    with pytest.raises(TypeError, match="object has no place"):
        json_text({"x": object()})
