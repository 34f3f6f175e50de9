"""Rows of questions: what is trained on is the right choice, what is judged all of them.

ChoiceRows    input_ids, attention_mask, labels (rows, tokens)                      of the right choice, as `TokenRows`
              choice_ids, choice_mask, choice_labels (rows, choices, tokens), right (rows,)      `judged` adds
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data.content import IGNORED, Places, TokenRows
from gossipfl.learning.data.mapped import Parts
from gossipfl.learning.data.tokens import Tokens, starts_of


@dataclass(frozen=True, slots=True)
class ChoiceRows:
    """Questions, each with choices of its own.

    Attributes:
        tokens: a row a choice, question and choice joined, the choices of a question next to each other.
        starts: (rows + 1,) where the choices of each question begin.
        right: (rows,) the right one's place among them.
        pad: id that fills short rows.
        cut: see `Content`.
    """

    tokens: Tokens
    starts: NDArray[np.int64]
    right: NDArray[np.int64]
    pad: int
    cut: int = 0

    @property
    def rows(self) -> int:
        """See `Content`."""
        return len(self.right)

    def order(self, firsts: Places, ends: Places) -> Places:
        """Shortest first, by the longest row of a unit that is trained on."""
        lengths = np.diff(self.tokens.starts)[self.starts[:-1] + self.right]
        longest = [int(lengths[first:end].max()) for first, end in zip(firsts, ends, strict=True)]
        return np.argsort(longest, kind="stable")

    def arrays(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Content`: the right choices."""
        return self._of(self.starts[rows] + self.right[rows])

    def judged(self, rows: Places) -> Mapping[str, NDArray[Any]]:
        """See `Judged`; a question with fewer choices than another has some without labels."""
        counts = np.diff(self.starts)[rows, None]
        offsets = np.arange(int(counts.max()))[None, :]
        places = self.starts[rows, None] + np.minimum(offsets, counts - 1)
        every = {name: array.reshape(*places.shape, -1) for name, array in self._of(places.reshape(-1)).items()}
        labels = np.where((offsets < counts)[:, :, None], every["labels"], IGNORED)
        judged = {"choice_ids": every["input_ids"], "choice_mask": every["attention_mask"], "choice_labels": labels}
        return {**self.arrays(rows), **judged, "right": self.right[rows]}

    def parts(self) -> Mapping[str, NDArray[Any]]:
        """See `Flat`."""
        own = {"choices": np.diff(self.starts), "right": self.right, "cut": np.array([self.cut], np.int64)}
        return {**self.tokens.parts("tokens"), **own}

    @classmethod
    def of_parts(cls, parts: Parts, pad: int) -> Self:
        """See `Flat`."""
        choices, right, cut = (parts[name].whole() for name in ("choices", "right", "cut"))
        return cls(Tokens.of_parts(parts, "tokens"), starts_of(choices), right, pad, int(cut.sum()))

    def _of(self, places: Places) -> Mapping[str, NDArray[Any]]:
        return TokenRows(self.tokens, None, self.pad).arrays(places)
