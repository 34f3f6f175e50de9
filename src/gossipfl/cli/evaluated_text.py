"""What `gossipfl evaluate --history` says."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gossipfl.learning.forgetting import mean_of, score_of
from gossipfl.node.evaluating_history import OfPeriod
from gossipfl.report.tables import markdown_table


def history_json(periods: Sequence[OfPeriod]) -> dict[str, Any]:
    """For machines: every period, and the mean of what is forgotten of those before the newest."""
    return {
        "periods": [_as_json(period) for period in periods],
        "forgetting": mean_of(period.forgetting for period in periods),
    }


def history_text(periods: Sequence[OfPeriod]) -> str:
    """A row a period."""
    rows = [
        [
            str(each.period),
            str(each.step),
            ", ".join(each.files),
            "" if each.now is None else f"{each.now.loss:.4g}",
            _percent(None if each.now is None else score_of(each.now)),
            _percent(each.best),
            _percent(each.forgetting),
        ]
        for each in periods
    ]
    return markdown_table(
        ["period", "since step", "files", "loss", "accuracy, %", "best, %", "forgotten, points"], rows
    )


def _as_json(period: OfPeriod) -> dict[str, Any]:
    figures = None if period.now is None else period.now.figures()
    known = figures and {name: value for name, value in figures.items() if value is not None}
    return {**asdict(period), "now": known}


def _percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.1f}"
