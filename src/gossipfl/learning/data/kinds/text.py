"""Text, or prompt and response, as tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.content import TokenRows, labels_of
from gossipfl.learning.data.goldfish import left_out
from gossipfl.learning.data.kinds.seam import DataKind, Reading
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.tokens import tokenize


def _texts(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    return {"text": columns.words(experiment.data.text, "data.text")}


def _prompted(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    data = experiment.data
    if data.prompt is None or data.response is None:
        return _texts(columns, experiment)
    prompts = columns.words(data.prompt, "data.prompt")
    return {"text": columns.words(data.response, "data.response"), "prompt": prompts}


def token_rows(records: Sequence[Record], reading: Reading) -> TokenRows:
    """The tokens of the records, each of which comes to one at least.

    Raises:
        DataError: one comes to none.
    """
    tokenizer = reading.tokenizer
    if tokenizer is None:
        raise DataError(f"task.kind {reading.task.kind} reads text, and the model has no tokenizer")
    tokens = tokenize(records, tokenizer, reading.task)
    if records and int(np.diff(tokens.starts).min()) == 0:
        row = int(np.diff(tokens.starts).argmin())
        raise DataError(f"the tokenizer makes no token of a text of {len(records[row].text)} characters")
    labels = labels_of(records) if reading.task.labels_records else None
    out = None if reading.goldfish is None else left_out(np.asarray(tokens.ids), tokens.starts, reading.goldfish)
    return TokenRows(tokens, labels, reading.pad, out)


CLASSIFIED = DataKind(_texts, token_rows, TokenRows)
CAUSAL = DataKind(_prompted, token_rows, TokenRows)
