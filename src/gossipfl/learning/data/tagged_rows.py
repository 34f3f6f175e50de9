"""Rows of tokens of which some have a label.

TaggedRows    input_ids, attention_mask, labels     each (rows, tokens), padded to the longest row of the micro-batch
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data.content import IGNORED, Places
from gossipfl.learning.data.mapped import Parts
from gossipfl.learning.data.pair_rows import padded
from gossipfl.learning.data.tokens import Tokens


@dataclass(frozen=True, slots=True)
class TaggedRows:
    """Rows of words.

    Attributes:
        tokens: of all rows.
        labels: of each token, `IGNORED` where it has none.
        pad: id that fills short rows.
        cut: see `Content`.
    """

    tokens: Tokens
    labels: Tokens
    pad: int
    cut: int = 0

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.tokens.starts) - 1

    def order(self, firsts: Places, ends: Places) -> Places:
        """Shortest first, by the longest row of a unit."""
        lengths = np.diff(self.tokens.starts)
        longest = [int(lengths[first:end].max()) for first, end in zip(firsts, ends, strict=True)]
        return np.argsort(longest, kind="stable")

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`; at least one row."""
        ids, there = padded(self.tokens, rows, self.pad)
        labels, _ = padded(self.labels, rows, IGNORED)
        return {"input_ids": ids, "attention_mask": there.astype(np.int64), "labels": labels}

    def parts(self) -> Mapping[str, NDArray[Any]]:
        """See `Flat`."""
        return {**self.tokens.parts("tokens"), **self.labels.parts("labels"), "cut": np.array([self.cut], np.int64)}

    @classmethod
    def of_parts(cls, parts: Parts, pad: int) -> Self:
        """See `Flat`."""
        tokens, labels = (Tokens.of_parts(parts, name) for name in ("tokens", "labels"))
        return cls(tokens, labels, pad, int(parts["cut"].whole().sum()))
