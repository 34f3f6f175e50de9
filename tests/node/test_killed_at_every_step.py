"""Killed with SIGKILL before and after each part of charge, step, checkpoint, publish: ε is never below the truth.

One node, life after life on the same state directory and the same data: each life is killed elsewhere, the next one
resumes by itself. A last one comes to the end.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked
from tests.node.killed_node import MOMENTS
from tests.node.study import Study, make_study

from gossipfl.errors import LedgerError
from gossipfl.node.checkpoint import load_latest
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.publications import Publication, read_log
from gossipfl.privacy.spent import AccountSummary, spent
from gossipfl.studies.fleet import Job

PHASES, LOCAL_STEPS, DELTA = 24, 2, 1e-5
QUICK = {"linger_s": 0.3, "settle_rounds": 1, "deadline_s": 1}
"""A node whose neighbor never comes."""
LEVELS: dict[str, dict[str, Any]] = {
    "example": {"level": "example", "target_epsilon": None, "noise_multiplier": 1.0, "target_delta": DELTA},
    "update": {"level": "update", "target_epsilon": None, "noise_multiplier": 4.0, "target_delta": DELTA},
}


@dataclass(frozen=True, slots=True)
class Life:
    """What is on the disk after one.

    Attributes:
        where: it was killed.
        code: its exit code.
        account: of the data; None before there is one.
        steps: in the newest checkpoint, 0 without one.
        covered: steps that the checkpoint's receipt names.
        published: everything that may have left, so far.
    """

    where: str
    code: int
    account: AccountSummary | None
    steps: int
    covered: int
    published: tuple[Publication, ...]

    @property
    def epsilon(self) -> float:
        return self.account.epsilon if self.account else 0.0


def left_by(study: Study, where: str, code: int) -> Life:
    """Reads the state directory and the ledger as an auditor would."""
    state = study.state("ada")
    account = next(iter(spent(read_ledger_link(state))), None) if (state / "ledger.json").exists() else None
    saved = load_latest(state)
    log = state / "publications.jsonl"
    try:
        published = tuple(row.publication for row in read_log(log)) if log.exists() else ()
    except LedgerError as error:
        raise AssertionError(f"killed {where}: {error}") from error
    steps, covered = (saved.snapshot.step, saved.snapshot.receipt.steps) if saved else (0, 0)
    return Life(where, code, account, steps, covered, published)


def live(study: Study, where: str, count: int) -> Life:
    """One life, killed at a moment; the last one, at none."""
    node = ["node", "--peers", str(study.peers), "--name", "ada", "--json"]
    program = ["-m", "tests.node.killed_node", where, str(count)] if where else ["-m", "gossipfl"]
    process = forked(Job("ada", [*program, *node], study.folder / "ada.log"), os.environ)
    return left_by(study, where, process.wait(100))


@pytest.fixture(scope="module", params=["update", pytest.param("example", marks=pytest.mark.slow)])
def lives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> list[Life]:
    """One after the other, with a kill at every moment."""
    folder = tmp_path_factory.mktemp("killed") / "study"
    training = {"phases": PHASES, "local_steps": LOCAL_STEPS, "evaluate_every": 0}
    study = make_study(
        folder, tiny_model, names=("ada", "bob"), training=training, gossip=QUICK, privacy=LEVELS[request.param]
    )
    # in the second phase of that life, or the like: the first has left something to fall behind
    found = [live(study, where, 3) for where in MOMENTS]
    return [*found, live(study, "", 0)]


def test_every_life_but_the_last_was_ended_by_the_system(lives: list[Life]) -> None:
    assert [life.code for life in lives] == [-signal.SIGKILL] * len(MOMENTS) + [0]


def test_epsilon_never_falls_from_life_to_life(lives: list[Life]) -> None:
    spent_by = [life.epsilon for life in lives]
    assert spent_by == sorted(spent_by)
    assert spent_by[-1] > spent_by[0]


def test_the_ledger_has_charged_every_step_that_a_checkpoint_holds(lives: list[Life]) -> None:
    for life in lives:
        charged = life.account.steps if life.account else 0
        assert life.covered <= charged, life.where


def test_nothing_was_published_that_no_charge_covers(lives: list[Life]) -> None:
    assert lives[-1].published
    for life in lives:
        for publication in life.published:
            assert life.account is not None, life.where
            assert publication.charges <= life.account.charges, life.where
            # stated at its time, for all that had been charged by then
            assert publication.epsilon <= life.epsilon * (1 + 1e-9), life.where


def test_the_node_resumes_by_itself_and_loses_a_phase_or_two_a_life(lives: list[Life]) -> None:
    steps = [life.steps for life in lives]
    assert steps == sorted(steps)
    assert steps[-1] == PHASES * LOCAL_STEPS


def test_the_end_costs_what_an_uninterrupted_run_costs_and_the_steps_done_again(lives: list[Life]) -> None:
    last = lives[-1]
    assert last.account is not None
    per_phase = LOCAL_STEPS if last.account.level == "example" else 1
    planned = PHASES * per_phase
    again = last.account.steps - planned
    # a life loses at most the phase under way and the one whose checkpoint was being written
    assert 0 < again <= 2 * per_phase * len(MOMENTS)
    assert last.account.charges == last.account.steps


def test_a_charge_counts_from_the_moment_its_transaction_ends(lives: list[Life]) -> None:
    charges = {life.where: life.account.charges for life in lives if life.account is not None}
    assert charges["before the charge"] == 2, "the third was not begun"
    # killed inside: the transaction is undone as a whole
    within, between = charges["in the charge's transaction"], charges["between charge and step"]
    assert within >= charges["before the charge"]
    assert between == within + 3, "the third was durable when it returned"


def test_what_publications_state_rises_with_the_charges(lives: list[Life]) -> None:
    stated = [(publication.charges, publication.epsilon) for publication in lives[-1].published]
    assert stated == sorted(stated)
    assert stated[-1][1] > stated[0][1]
