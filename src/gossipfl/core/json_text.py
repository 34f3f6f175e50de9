"""Values as strict JSON: what `--json` prints and what metrics.jsonl holds.

JSON has no NaN and no infinities. NaN becomes null (nothing known); infinity the string "Infinity" or "-Infinity",
which `float()` in Python and `Number()` in JavaScript read back. Where infinity only stands for "there is none" the
caller says None: a node that trains without privacy has no ε, in its metrics as in `gossipfl status`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath

import numpy as np


def json_text(value: object) -> str:
    """One line of JSON; dataclasses, mappings, sequences, sets, paths, numpy scalars and arrays are taken apart.

    Raises:
        TypeError: a value of another type.
    """
    return json.dumps(_plain(value), allow_nan=False, ensure_ascii=False)


def _plain(value: object) -> object:  # noqa: PLR0911  # one return a type
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return _plain_float(value)
        case np.generic() | np.ndarray():
            return _plain(value.tolist())
        case PurePath():
            return str(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case set() | frozenset():
            return sorted((_plain(item) for item in value), key=str)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _plain_float(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
