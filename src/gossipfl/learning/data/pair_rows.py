"""Rows of two sequences, padded each by itself.

PairRows      input_ids, attention_mask (rows, prompt), labels (rows, response)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data.content import IGNORED, Places
from gossipfl.learning.data.mapped import Parts
from gossipfl.learning.data.tokens import Tokens


@dataclass(frozen=True, slots=True)
class PairRows:
    """Rows of a prompt and a response.

    Attributes:
        prompts, responses: of all rows, a token a row at least.
        pad: id that fills short prompts.
        cut: see `Content`.
    """

    prompts: Tokens
    responses: Tokens
    pad: int
    cut: int = 0

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.prompts.starts) - 1

    def order(self, firsts: Places, ends: Places) -> Places:
        """Shortest first, by the longest row of a unit: prompt and response together."""
        lengths = np.diff(self.prompts.starts) + np.diff(self.responses.starts)
        longest = [int(lengths[first:end].max()) for first, end in zip(firsts, ends, strict=True)]
        return np.argsort(longest, kind="stable")

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`; at least one row."""
        ids, there = padded(self.prompts, rows, self.pad)
        labels, _ = padded(self.responses, rows, IGNORED)
        return {"input_ids": ids, "attention_mask": there.astype(np.int64), "labels": labels}

    def parts(self) -> Mapping[str, NDArray[Any]]:
        """See `Flat`."""
        return {
            **self.prompts.parts("prompts"),
            **self.responses.parts("responses"),
            "cut": np.array([self.cut], np.int64),
        }

    @classmethod
    def of_parts(cls, parts: Parts, pad: int) -> Self:
        """See `Flat`."""
        prompts, responses = (Tokens.of_parts(parts, name) for name in ("prompts", "responses"))
        return cls(prompts, responses, pad, int(parts["cut"].whole().sum()))


def padded(tokens: Tokens, rows: Places, fill: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(rows, longest) ids of some rows, and where there are any."""
    starts, ends = tokens.starts[rows, None], tokens.starts[rows + 1, None]
    places = starts + np.arange(int((ends - starts).max()))[None, :]
    there = places < ends
    ids = np.where(there, tokens.ids[np.minimum(places, ends - 1)], fill)
    return ids.astype(np.int64), there
