"""What a state directory tells a model card: bytes of all lives, and never less ε than was paid."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gossipfl.config.experiment import Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.core.messages import Receipt
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import LedgerError
from gossipfl.node.checkpoint import Saved
from gossipfl.node.story import story_of
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_link import write_ledger_link
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.state import AdapterSpec, AdapterState, Segment

DELTA = 1e-5
CHARGE = Charge(0.1, 1.0, 40)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A node that has lived three times; the second life sent less than the first."""
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "run").write_text("ours")
    rows = [
        {"step": 10, "bytes_sent": 100, "bytes_received": 10, "test_loss": 0.9, "test_accuracy": 0.5},
        {"step": 20, "bytes_sent": 250, "bytes_received": 20, "test_loss": 0.8, "test_accuracy": 0.6},
        {"step": 20, "bytes_sent": 30, "bytes_received": 5, "test_loss": None, "test_accuracy": None},
        {"step": 40, "bytes_sent": 40, "bytes_received": 6, "test_loss": 0.7, "test_accuracy": 0.75},
    ]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 41, "byt')
    return folder


def experiment(level: str = "example") -> Experiment:
    wish = {} if level == "none" else {"target_epsilon": 8.0}
    return Experiment(
        model=ModelConfig(source="model"),
        task=TaskConfig(kind="causal-lm"),
        privacy=PrivacyConfig.model_validate({"level": level, **wish}),
    )


def saved(*, step: int = 40, paid: float = 0.0) -> Saved:
    state = AdapterState(AdapterSpec((Segment("w", (2,)),)), np.zeros(2, np.float32))
    return Saved(Snapshot(state=state, step=step, receipt=Receipt(step, 1, "head", paid, DELTA)), {})


def pay(state_dir: Path, records: list[bytes], charge: Charge, run: str) -> Path:
    ledger = state_dir.parent / "ledger.sqlite"
    request = AccountRequest(records, DELTA, "prv", 8.0, public=False, new_account=None, run=run, node="oslo")
    with open_account(ledger, request) as account:
        account.charge(charge)
    write_ledger_link(state_dir, ledger)
    return ledger


def test_bytes_are_of_all_lives_and_metrics_of_the_state(state_dir: Path) -> None:
    story = story_of(state_dir, experiment("none"), saved(), nodes=3)
    assert (story.nodes, story.step) == (3, 40)
    assert (story.bytes_sent, story.bytes_received) == (290, 26)
    assert (story.test_loss, story.test_accuracy) == (0.7, 0.75)
    assert story.spent is None
    assert story_of(state_dir, experiment("none"), saved(step=30), nodes=3).test_loss is None


def test_epsilon_is_of_the_accounts_that_the_run_charged(state_dir: Path) -> None:
    pay(state_dir, [b"a" * 32], CHARGE, "ours")
    pay(state_dir, [b"b" * 32], Charge(0.1, 1.0, 42), "another")
    told = story_of(state_dir, experiment(), saved(paid=0.1), nodes=None).spent
    assert told is not None
    assert told.epsilon == pytest.approx(epsilon([CHARGE], DELTA))
    assert "DP-SGD" in told.mechanism
    assert not told.public


def test_another_run_on_the_same_records_counts(state_dir: Path) -> None:
    pay(state_dir, [b"a" * 32], CHARGE, "ours")
    pay(state_dir, [b"a" * 32], CHARGE, "another")
    told = story_of(state_dir, experiment(), saved(), nodes=None).spent
    assert told is not None
    assert told.epsilon == pytest.approx(epsilon([CHARGE, CHARGE], DELTA))


def test_without_its_ledger_or_with_a_new_one_the_receipt_stands(state_dir: Path) -> None:
    story = story_of(state_dir, experiment(), saved(paid=5.5), nodes=None)
    assert story.spent is not None
    assert (story.spent.epsilon, story.spent.delta) == (5.5, DELTA)
    pay(state_dir, [b"c" * 32], Charge(0.01, 5.0, 1), "ours")
    again = story_of(state_dir, experiment(), saved(paid=5.5), nodes=None)
    assert again.spent == story.spent
    unbounded = story_of(state_dir, experiment(), saved(paid=math.inf), nodes=None).spent
    assert unbounded is not None
    assert unbounded.epsilon == math.inf


def test_of_a_personal_model_only_the_ledger_speaks(state_dir: Path) -> None:
    story = story_of(state_dir, experiment(), saved(paid=5.5), nodes=None, personal=True)
    assert (story.spent, story.test_loss, story.test_accuracy) == (None, None, None)
    pay(state_dir, [b"a" * 32], CHARGE, "ours")
    told = story_of(state_dir, experiment(), saved(paid=5.5), nodes=None, personal=True).spent
    assert told is not None
    assert told.epsilon == pytest.approx(epsilon([CHARGE], DELTA))


def test_an_altered_ledger_makes_no_card(state_dir: Path) -> None:
    ledger = pay(state_dir, [b"a" * 32], CHARGE, "ours")
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xff" * 4096)
    with pytest.raises(LedgerError):
        story_of(state_dir, experiment(), saved(), nodes=None)
