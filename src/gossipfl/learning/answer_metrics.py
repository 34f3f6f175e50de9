"""How near texts are to those that were wanted, from 0 to 1.

exact_match   part of the texts that are equal but for white space
rouge_l       mean of F₁ of the longest common subsequence of words; words as in ROUGE-1.5.5, of any script
chrf          chrF2 over all texts together: F of n-grams of characters, n = 1 to 6, recall twice as important

Source: Lin (2004) by rouge-score; Popović (2015) by sacreBLEU.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sacrebleu.metrics import CHRF

from gossipfl.errors import ConfigError

Metric = Callable[[Sequence[str], Sequence[str]], float]
"""(texts said, texts wanted) to a figure; at least one of each."""
INSTALL = "pip install 'gossipfl[rouge]'"
_WORD = re.compile(r"[^\W_]+")


def exact_match(said: Sequence[str], wanted: Sequence[str]) -> float:
    """See the module."""
    return sum(_plain(one) == _plain(other) for one, other in zip(said, wanted, strict=True)) / len(wanted)


def rouge_l(said: Sequence[str], wanted: Sequence[str]) -> float:
    """See the module.

    Raises:
        ConfigError: the extra is not installed.
    """
    scorer = _scorer()
    scores = [scorer.score(other, one)["rougeL"].fmeasure for one, other in zip(said, wanted, strict=True)]
    return float(sum(scores) / len(scores))


def chrf(said: Sequence[str], wanted: Sequence[str]) -> float:
    """See the module."""
    return float(CHRF().corpus_score(list(said), [list(wanted)]).score) / 100


METRICS: Mapping[str, Metric] = {"exact_match": exact_match, "rouge_l": rouge_l, "chrf": chrf}
"""`task.metrics` to what computes it."""


def check_installed(metrics: Sequence[str]) -> None:
    """Before training, what will be needed after it.

    Raises:
        ConfigError: an extra is not installed.
    """
    if "rouge_l" in metrics:
        _scorer()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _scorer() -> Any:  # noqa: ANN401  # has no types
    try:
        from rouge_score import rouge_scorer  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ConfigError(f"task.metrics rouge_l needs the extra `rouge`: {INSTALL}") from error
    return rouge_scorer.RougeScorer(["rougeL"], tokenizer=_Words())


class _Words:
    """In place of rouge-score's own, which drops every letter that is not ASCII."""

    def tokenize(self, text: str) -> list[str]:
        """In lower case."""
        return _WORD.findall(text.lower())
