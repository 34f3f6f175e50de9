"""What a kind of task reads: its columns, and what a model sees of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gossipfl.config.experiment import Experiment, TaskConfig
from gossipfl.config.training import GoldfishConfig
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.content import Content
from gossipfl.learning.data.record import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Reading:
    """What records become rows with.

    Attributes:
        task: the experiment's.
        tokenizer: of the model; None where it reads no text.
        goldfish: tokens that are left out of the loss; None: none are.
    """

    task: TaskConfig
    tokenizer: "PreTrainedTokenizerBase | None" = None
    goldfish: GoldfishConfig | None = None


@dataclass(frozen=True, slots=True)
class DataKind:
    """What one value of `task.kind` reads.

    Attributes:
        contents: (columns, experiment) to the fields of `Record` that hold the content, each a value a row; raises
            DataError.
        rows: records to what a model sees of them; raises DataError where a record comes to nothing.
    """

    contents: Callable[[Columns, Experiment], Mapping[str, Sequence[Any]]]
    rows: Callable[[Sequence[Record], Reading], Content]
