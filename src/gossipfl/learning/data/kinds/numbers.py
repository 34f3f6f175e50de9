"""A vector a record."""

from collections.abc import Mapping, Sequence
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.content import VectorRows, labels_of
from gossipfl.learning.data.kinds.seam import DataKind, Reading
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.vectors import matrix_of


def _features(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    features = columns.vectors(experiment.data.features, experiment.model.inputs or 0)
    return {"text": [""] * len(features), "features": features}


def _rows(records: Sequence[Record], reading: Reading) -> VectorRows:  # noqa: ARG001  # nothing to tokenize
    return VectorRows(matrix_of([record.features for record in records]), labels_of(records))


VECTORS = DataKind(_features, _rows)
