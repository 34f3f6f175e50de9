"""What a state directory knows of its run, for the model card of what is exported from it."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.core.messages import Receipt
from gossipfl.errors import StateError
from gossipfl.learning.card import Spent, Story
from gossipfl.node.checkpoint import Saved
from gossipfl.node.state_directory import run_name_in
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.spent import MECHANISMS, AccountSummary, spent


def story_of(
    state_dir: Path, experiment: Experiment, saved: Saved, *, nodes: int | None, personal: bool = False
) -> Story:
    """The run behind a checkpoint; nothing in it tells of single records.

    Args:
        experiment: it was trained in.
        nodes: that took part; None: not known.
        personal: what is exported is the node's own model, made from the checkpoint: its figures are not those of the
            run, and its steps are in the ledger alone.

    Raises:
        LedgerError: there is a ledger, and it cannot be read or was altered.
    """
    rows = list(_rows(state_dir / "metrics.jsonl"))
    step = saved.snapshot.step
    of_state: Mapping[str, Any] = next((row for row in reversed(rows) if row.get("step") == step), {})
    now = {} if personal else of_state
    covering = None if personal else saved.snapshot.receipt
    return Story(
        nodes=nodes,
        step=step,
        bytes_sent=_over_lives(rows, "bytes_sent"),
        bytes_received=_over_lives(rows, "bytes_received"),
        test_loss=_number(now.get("test_loss")),
        test_accuracy=_number(now.get("test_accuracy")),
        spent=None if experiment.privacy.level == "none" else _spent(state_dir, experiment, covering),
    )


def _spent(state_dir: Path, experiment: Experiment, covering: Receipt | None) -> Spent | None:
    """The most that an account of the run has paid, and never less than what covers the state; None: nobody knows.

    Without its ledger the receipt stands for it, which names no later run on the same data.
    """
    found = [Spent(each.epsilon, each.delta, each.mechanism, public=each.public) for each in _charged(state_dir)]
    if covering is not None:
        privacy = experiment.privacy
        mechanism = MECHANISMS.get(privacy.level, privacy.level)
        found.append(Spent(covering.epsilon, covering.delta, mechanism, public=privacy.public_data))
    return max(found, key=lambda each: each.epsilon, default=None)


def _charged(state_dir: Path) -> list[AccountSummary]:
    """The accounts that this run has charged; none where the ledger is gone."""
    run = run_name_in(state_dir)
    with suppress(StateError):
        ledger = read_ledger_link(state_dir)
        if run is not None and ledger.exists():
            return spent(ledger, run=run)
    return []


def _rows(metrics: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of a metrics.jsonl; a torn one is left out."""
    lines = metrics.read_bytes().splitlines() if metrics.exists() else []
    for line in lines:
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def _over_lives(rows: Iterable[Mapping[str, Any]], name: str) -> int | None:
    """Sum over a node's lives of a count that begins anew with each; None where nothing was written down."""
    whole, last = None, 0
    for row in rows:
        count = int(row.get(name) or 0)
        whole = (whole or 0) + (count - last if count >= last else count)
        last = count
    return whole


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
