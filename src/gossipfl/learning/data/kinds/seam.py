"""What a kind of task reads: its columns, and what a model sees of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, Union

from gossipfl.config.experiment import Experiment, TaskConfig
from gossipfl.config.training import GoldfishConfig
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.content import Content, Flat
from gossipfl.learning.data.images import ImageReader
from gossipfl.learning.data.record import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Reader = Union["PreTrainedTokenizerBase", ImageReader]
"""What makes records into what a model reads: its tokenizer, or its image processor."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What records become rows with.

    Attributes:
        task: the experiment's.
        tokenizer: of the model; None where it reads no text.
        goldfish: tokens that are left out of the loss; None: none are.
        images: the model's image processor; None where it reads no images.
    """

    task: TaskConfig
    tokenizer: "PreTrainedTokenizerBase | None" = None
    goldfish: GoldfishConfig | None = None
    images: ImageReader | None = None

    @classmethod
    def by(cls, reader: Reader | None, task: TaskConfig, goldfish: GoldfishConfig | None = None) -> Self:
        """With a tokenizer or an image processor, whichever the model has."""
        if isinstance(reader, ImageReader):
            return cls(task, images=reader)
        return cls(task, reader, goldfish)

    @property
    def pad(self) -> int:
        """Id that fills short rows."""
        return (self.tokenizer.pad_token_id or 0) if self.tokenizer is not None else 0


@dataclass(frozen=True, slots=True)
class DataKind:
    """What one value of `task.kind` reads.

    Attributes:
        contents: (columns, experiment) to the fields of `Record` that hold the content, each a value a row; raises
            DataError.
        rows: records to what a model sees of them, each by itself; raises DataError where a record comes to nothing.
        flat: what `rows` makes, where it can be kept in files; None where it cannot.
    """

    contents: Callable[[Columns, Experiment], Mapping[str, Sequence[Any]]]
    rows: Callable[[Sequence[Record], Reading], Content]
    flat: type[Flat] | None = None
