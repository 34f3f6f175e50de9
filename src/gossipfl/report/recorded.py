"""What a simulated run recorded, as values.

What was not known (JSON's null, or no such key) is NaN.
"""

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator

from gossipfl.config.graph_types import Graph

UNKNOWN = math.nan
Number = Annotated[float, BeforeValidator(lambda value: UNKNOWN if value is None else value)]
Column = tuple[Number, ...]


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
    test_token_accuracy: Number = UNKNOWN


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
