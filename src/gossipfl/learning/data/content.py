"""What the rows of `Examples` hold: tokens or numbers, behind one small seam.

TokenRows     input_ids, attention_mask, labels     padded to the longest row of the micro-batch
VectorRows    features (rows, inputs), labels       nothing to pad
ChosenRows    some rows of either
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data.mapped import Parts, Values
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.tokens import Tokens

IGNORED = -100
"""Label of a token that does not count in the loss, as in transformers."""
Places = NDArray[np.int64]


class Content(Protocol):
    """Rows, as one kind of data has them."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def cut(self) -> int:
        """Rows that lost tokens, being too long."""
        ...

    def order(self, firsts: Places, ends: Places) -> Places:
        """In which order units go into micro-batches, so that as little as can be is padded.

        Args:
            firsts, ends: the rows of each unit, [first, end).
        """
        ...

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """The model's input and the labels of some rows, each (rows, …)."""
        ...


@runtime_checkable
class Judged(Content, Protocol):
    """Rows of which evaluation sees more than training does."""

    def judged(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """In place of `arrays`, what evaluation sees of some rows; all of `arrays` is among it."""
        ...


class Flat(Content, Protocol):
    """Rows that can be kept in files, see `kept_tokens`."""

    def parts(self) -> Mapping[str, NDArray[Any]]:
        """As arrays by name, of which those of several blocks of rows can be joined; without the padding id."""
        ...

    @classmethod
    def of_parts(cls, parts: Parts, pad: int) -> Self:
        """Of what `parts` gave, block after block."""
        ...


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows of tokens.

    Attributes:
        tokens: of all rows.
        labels: (rows,) int64 class of each row; None for `causal-lm`.
        pad: id that fills short rows.
        left_out: (tokens,) those that do not count in the loss; None: all count.
    """

    tokens: Tokens
    labels: NDArray[np.int64] | None
    pad: int
    left_out: Values | None = None

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.tokens.starts) - 1

    @property
    def cut(self) -> int:
        """See `Content`."""
        return self.tokens.cut

    def order(self, firsts: Places, ends: Places) -> Places:
        """Shortest first, by the longest row of a unit."""
        longest = [self._longest(int(first), int(end)) for first, end in zip(firsts, ends, strict=True)]
        return np.argsort(longest, kind="stable")

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`; at least one row."""
        starts, ends = self.tokens.starts[rows, None], self.tokens.starts[rows + 1, None]
        offsets = np.arange(int((ends - starts).max()))[None, :]
        places = starts + offsets
        there = places < ends
        inside = np.minimum(places, ends - 1)
        ids = np.where(there, self.tokens.ids[inside], self.pad).astype(np.int64)
        if self.labels is None:
            counted = there & (offsets >= self.tokens.loss_from[rows, None])
            counted = counted if self.left_out is None else counted & ~self.left_out[inside].astype(np.bool_)
            labels = np.where(counted, ids, IGNORED)
        else:
            labels = self.labels[rows]
        return {"input_ids": ids, "attention_mask": there.astype(np.int64), "labels": labels}

    def parts(self) -> Mapping[str, NDArray[Any]]:
        """See `Flat`; Arrow packs truth values into bits, which cannot be mapped."""
        labels = {} if self.labels is None else {"labels": self.labels}
        out = {} if self.left_out is None else {"left_out": np.asarray(self.left_out).astype(np.uint8)}
        return {**self.tokens.parts("tokens"), **labels, **out}

    @classmethod
    def of_parts(cls, parts: Parts, pad: int) -> Self:
        """See `Flat`."""
        labels = parts["labels"].whole() if "labels" in parts else None
        return cls(Tokens.of_parts(parts, "tokens"), labels, pad, parts.get("left_out"))

    def _longest(self, first: int, end: int) -> int:
        starts = self.tokens.starts
        return int(starts[end] - starts[first]) if end - first == 1 else int(np.diff(starts[first : end + 1]).max())


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Rows of numbers.

    Attributes:
        features: (rows, inputs) fp32.
        labels: (rows,) int64 class of each row.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.labels)

    @property
    def cut(self) -> int:
        """None."""
        return 0

    def order(self, firsts: Places, ends: Places) -> Places:  # noqa: ARG002  (rows are equally long)
        """As they come."""
        return np.arange(len(firsts))

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`."""
        return {"features": self.features[rows], "labels": self.labels[rows]}


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Some rows of others, to be evaluated.

    Attributes:
        whole: what they are from.
        chosen: (rows,) their places there.
    """

    whole: Content
    chosen: Places

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.chosen)

    @property
    def cut(self) -> int:
        """See `Content`; of all."""
        return self.whole.cut

    def order(self, firsts: Places, ends: Places) -> Places:  # noqa: ARG002  # what is evaluated keeps its order
        """As they come."""
        return np.arange(len(firsts))

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`."""
        return self.whole.arrays(self.chosen[rows])

    def judged(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Judged`; what training sees, where evaluation sees no more."""
        see = self.whole.judged if isinstance(self.whole, Judged) else self.whole.arrays
        return see(self.chosen[rows])


def labels_of(records: Sequence[Record]) -> NDArray[np.int64]:
    """(records,) class of each."""
    return np.array([record.label for record in records], np.int64)
