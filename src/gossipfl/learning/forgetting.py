"""How much of what it once could a node has forgotten, by the period in which its data came.

    f_j = max over earlier evaluations of a_j  −  a_j now        a_j: accuracy on the held-out part of period j

Of every period but the newest; negative where later data has helped. Source: Chaudhry et al. (2018), definition 3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gossipfl.learning.evaluation import Evaluation

Score = float | None
"""Of one period; None where nothing of it is held out."""


def score_of(found: Evaluation) -> Score:
    """Accuracy, of causal-lm that of its tokens; None without examples."""
    return found.token_accuracy if found.accuracy is None else found.accuracy


@dataclass(slots=True)
class Memory:
    """The best score of each period so far.

    Attributes:
        best: by period; None where there was none.
    """

    best: list[Score] = field(default_factory=list)

    def forgotten(self, scores: Sequence[Score]) -> list[Score]:
        """F of every period but the newest; None where nothing was known of it before."""
        return [
            None if now is None or best is None else best - now
            for now, best in zip(scores[:-1], [*self.best, *[None] * len(scores)], strict=False)
        ]

    def note(self, scores: Sequence[Score]) -> None:
        """Remembers what is better than before."""
        self.best += [None] * (len(scores) - len(self.best))
        self.best = [
            better(best, now) for best, now in zip(self.best, [*scores, *self.best[len(scores) :]], strict=True)
        ]


def better(first: Score, second: Score) -> Score:
    """The larger of those that are known."""
    return max((score for score in (first, second) if score is not None), default=None)


def mean_of(scores: Iterable[Score]) -> Score:
    """Of those that are known; None of none."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
