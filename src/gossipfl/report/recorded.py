"""What a simulated run recorded, as values.

What was not known (JSON's null, or no such key) is NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, model_validator

from gossipfl.config.graph_types import Graph

UNKNOWN = math.nan
Number = Annotated[float, BeforeValidator(lambda value: UNKNOWN if value is None else value)]
Column = tuple[Number, ...]
_MEASURES = "measures"


def _with_measures(line: dict[str, Any], known: Mapping[str, object]) -> dict[str, Any]:
    """Puts together what a line says of the nodes' states under keys of its own."""
    parts = ("own_", "test_")
    others = {key: value for key, value in line.items() if key.startswith(parts) and key not in known}
    return {**line, _MEASURES: others}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A line of metrics.jsonl; `sim/recording.py` says what the keys mean."""

    virtual_s: float
    round: float
    step: float
    bytes_per_node: float
    consensus_distance: Number
    bound: Number = UNKNOWN
    own_loss: Number = UNKNOWN
    own_accuracy: Number = UNKNOWN
    test_loss: Number = UNKNOWN
    test_accuracy: Number = UNKNOWN
    mean_model_loss: Number = UNKNOWN
    mean_model_accuracy: Number = UNKNOWN
    worst: Number = UNKNOWN
    averaging_error: Number = UNKNOWN
    trigger_success: Number = UNKNOWN
    measures: Mapping[str, Number] = field(default_factory=dict)
    """Those that only some tasks have, by key: `test_token_accuracy`, `own_macro_f1`."""

    @model_validator(mode="before")
    @classmethod
    def _find_measures(cls, line: Any) -> Any:  # noqa: ANN401  (what JSON can hold)
        return _with_measures(line, cls.__dataclass_fields__) if isinstance(line, dict) else line

    def figure(self, key: str) -> float:
        """The value of any key of a line, one that is not there too."""
        return self.measures[key] if key in self.measures else float(getattr(self, key, UNKNOWN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A line of nodes.jsonl; an empty column was not recorded."""

    distance: Column
    up: tuple[bool, ...]
    finished: tuple[bool, ...]
    step: Column = ()
    own_loss: Column = ()
    own_accuracy: Column = ()
    test_loss: Column = ()
    test_accuracy: Column = ()
    measures: Mapping[str, Column] = field(default_factory=dict)
    """As in `Summary`."""

    @model_validator(mode="before")
    @classmethod
    def _find_measures(cls, line: Any) -> Any:  # noqa: ANN401  (what JSON can hold)
        return _with_measures(line, cls.__dataclass_fields__) if isinstance(line, dict) else line

    def column(self, key: str) -> Column:
        """The values of any key of a line; empty where it was not recorded."""
        found: Column = self.measures[key] if key in self.measures else getattr(self, key, ())
        return found


class Evaluation(NamedTuple):
    """One evaluation: over all nodes and of each."""

    summary: Summary
    columns: Columns


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What a run's folder holds.

    Attributes:
        label: tells it from the other runs.
        graph: who is linked with whom, over all rounds.
        evaluations: at least one.
    """

    label: str
    graph: Graph
    evaluations: tuple[Evaluation, ...]
