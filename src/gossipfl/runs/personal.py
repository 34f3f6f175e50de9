"""What a run says of its nodes' own models: a mean for its result, and a file by node.

personal.json    {node: weight, global, tuned, personal and alone with own_* and test_*, against_global, against_alone}

own_*   on the node's held-out part, that of `personal` cross-fitted      test_*   on the common test set
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gossipfl.core.json_text import json_text
from gossipfl.learning.personal import Personalized

FILE = "personal.json"


def personal_summary(found: Mapping[str, Personalized]) -> dict[str, Any]:
    """Means over the nodes, and how many of them have a personal model that is better on their own data."""
    rows = [made.as_json() for made in found.values()]
    models = {name: _means([row[name] for row in rows]) for name in rows[0] if isinstance(rows[0][name], dict)}
    gains = {name: [row[name] for row in rows if name in row] for name in ("against_global", "against_alone")}
    gained = {name: _gain(values) for name, values in gains.items() if values}
    return {"nodes": len(rows), "weight": float(np.mean([row["weight"] for row in rows])), **models, **gained}


def write_personal(folder: Path, found: Mapping[str, Personalized]) -> None:
    """Writes the file by node."""
    (folder / FILE).write_text(json_text({name: made.as_json() for name, made in found.items()}) + "\n")


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    keys = [key for key in rows[0] if all(key in row for row in rows)]
    return {key: float(np.mean([row[key] for row in rows])) for key in keys}


def _gain(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "better": sum(value > 0 for value in values)}
