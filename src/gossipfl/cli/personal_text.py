"""A node's own model, for people."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from gossipfl.cli.output import table

_MODELS = ("global", "tuned", "personal", "alone")


def personal_table(figures: Mapping[str, Any]) -> Table:
    """A row a model: on the node's held-out part, that of `personal` cross-fitted, and on the common test set.

    Args:
        figures: see `Personalized.as_json`.
    """
    models = [name for name in _MODELS if name in figures]
    keys = list(dict.fromkeys(key for name in models for key in figures[name]))
    rows = [[name, *(figures[name].get(key) for key in keys)] for name in models]
    gains = [f"{figures[key]:+.4g} {key.replace('_', ' ')}" for key in figures if key.startswith("against_")]
    return table(("model", *keys), rows, title=", ".join([f"own model: weight {figures['weight']:.4g}", *gains]))
