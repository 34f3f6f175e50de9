"""One node's part in a common checkpoint: whom it follows, what it keeps and says, and what a crash leaves of it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.node.rolled import FINGERPRINT, Standing, standing
from tests.node.study import make_study

from gossipfl.config.loading import load_peers
from gossipfl.core.common import Plan, Statement, Terms, federation_of
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import StateError
from gossipfl.node.agreeing import branch_of, unfit
from gossipfl.node.common import MOST_OPEN, Common
from gossipfl.node.common_files import KEPT, CommonFiles
from gossipfl.state import AdapterState

TERMS = Terms("ada", federation_of(FINGERPRINT), "", ("ada", "bob"), 9, ("bob",))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    return standing(tmp_path_factory.mktemp("common") / "study")


class Life:
    """Of the node ada, without a network."""

    def __init__(self, node: Standing, folder: Path, terms: Terms = TERMS) -> None:
        self.node = node
        self.common = Common(terms, CommonFiles(folder), node.certified("ada"), lambda: None)

    def asked(self, plan: Plan, *, by: str = "") -> str:
        return self.common.asked(self.node.certified(by or plan.asked_by).paper(plan.text).line)

    async def at(self, phase: int, *, exhausted: bool = False) -> None:
        """The node has come so far."""
        await self.common.look(replace(self.snapshot, phase=phase, step=phase, exhausted=exhausted), {})

    @property
    def snapshot(self) -> Snapshot[AdapterState]:
        return self.node.saved.snapshot

    def other(self, plan: Plan, state: str = "s") -> bytes:
        said = Statement(plan.digest, plan.federation, "bob", plan.phase, plan.phase, state, "sealed", 0, "")
        return self.node.certified("bob").paper(said.text).line


def plan_for(phase: int, *, stops: bool = False, by: str = "bob") -> Plan:
    return Plan(TERMS.federation, "", phase, ("ada", "bob"), stops=stops, asked_by=by)


def states(folder: Path) -> Sequence[str]:
    return [key for key in CommonFiles(folder).keys() if (folder / "common" / key / "state.safetensors").exists()]  # noqa: SIM118


def test_whom_the_operator_did_not_name_is_not_followed(node: Standing, tmp_path: Path) -> None:
    life = Life(node, tmp_path, replace(TERMS, coordinators=()))
    assert "coordinators" in life.asked(plan_for(3, stops=True))
    assert not life.common.forbids(replace(life.snapshot, phase=9))


def test_who_signs_in_anothers_name_is_not_followed(node: Standing, tmp_path: Path) -> None:
    life = Life(node, tmp_path, replace(TERMS, coordinators=("bob",)))
    assert "not signed" in life.asked(plan_for(3), by="ada")


@pytest.mark.parametrize("line", [b"", b"{}\t\t", b"[]\tAA==\tAA==", os.urandom(1000), b"\t" * 70_000])
def test_bytes_that_make_no_sense_are_counted_and_change_nothing(node: Standing, tmp_path: Path, line: bytes) -> None:
    life = Life(node, tmp_path)
    error = life.common.came("bob", line)
    assert error is not None
    assert error.reason == "paper"
    assert not states(tmp_path)


async def test_the_state_is_kept_at_the_phase_and_not_before(node: Standing, tmp_path: Path) -> None:
    life = Life(node, tmp_path)
    assert not life.asked(plan_for(3))
    await life.at(2)
    assert not states(tmp_path)
    await life.at(3)
    saved, _ = CommonFiles(tmp_path).kept(plan_for(3).key)
    assert (saved.snapshot.phase, saved.snapshot.state) == (3, life.snapshot.state)


async def test_a_node_whose_budget_is_spent_keeps_what_it_has(node: Standing, tmp_path: Path) -> None:
    life = Life(node, tmp_path)
    life.asked(plan_for(8))
    await life.at(2, exhausted=True)
    assert states(tmp_path) == [plan_for(8).key]


async def test_digests_of_all_that_is_kept_tell_nothing_since_equal_states_have_others(
    node: Standing, tmp_path: Path
) -> None:
    digests = set()
    for name in ("one", "two"):
        life = Life(node, tmp_path / name)
        life.asked(plan_for(3))
        await life.at(3)
        digests.add(CommonFiles(tmp_path / name).kept(plan_for(3).key)[1])
    assert len(digests) == 2


async def test_a_stop_is_over_when_all_have_signed(node: Standing, tmp_path: Path) -> None:
    life, plan = Life(node, tmp_path), plan_for(3, stops=True)
    life.asked(plan)
    assert not life.common.forbids(replace(life.snapshot, phase=2))
    assert life.common.forbids(replace(life.snapshot, phase=3))
    await life.at(3)
    assert not life.common.over
    assert life.common.missing == ("bob",)
    assert life.common.came("bob", life.other(plan)) is None
    await life.at(3)
    assert life.common.over


async def test_killed_between_its_word_and_its_end_a_node_still_stops_and_once_it_has_it_goes_on(
    node: Standing, tmp_path: Path
) -> None:
    plan = plan_for(3, stops=True)
    first = Life(node, tmp_path)
    first.asked(plan)
    await first.at(3)
    second = Life(node, tmp_path)
    assert second.common.closing == plan
    await second.common.ended()
    third = Life(node, tmp_path)
    assert third.common.closing is None
    assert not third.asked(plan), "it is known, and carried out"
    await third.at(4)
    assert third.common.closing is None


async def test_killed_before_the_phase_a_node_keeps_its_state_in_its_next_life(node: Standing, tmp_path: Path) -> None:
    first = Life(node, tmp_path)
    first.asked(plan_for(3))
    await first.at(2)
    second = Life(node, tmp_path)
    await second.at(3)
    assert states(tmp_path) == [plan_for(3).key]


async def test_of_two_words_of_a_node_the_first_one_counts(node: Standing, tmp_path: Path) -> None:
    life, plan = Life(node, tmp_path), plan_for(3)
    life.asked(plan)
    for state in ("first", "second"):
        assert life.common.came("bob", life.other(plan, state)) is None
    await life.at(2)
    lines = CommonFiles(tmp_path).signed(plan.key).read_bytes()
    assert b'"first"' in lines
    assert b'"second"' not in lines


async def test_so_many_plans_wait_and_so_many_checkpoints_are_kept_and_no_more(node: Standing, tmp_path: Path) -> None:
    life = Life(node, tmp_path)
    answers = [life.asked(plan_for(phase)) for phase in range(1, MOST_OPEN + 2)]
    assert answers[:-1] == [""] * MOST_OPEN
    assert "wait for their phase" in answers[-1]
    for phase in range(1, 9):
        life.asked(plan_for(phase))
        await life.at(phase)
    assert len(states(tmp_path)) == KEPT
    assert plan_for(8).key in states(tmp_path)


async def test_a_stop_cannot_be_played_again_when_later_ones_have_taken_its_place(
    node: Standing, tmp_path: Path
) -> None:
    stop = plan_for(1, stops=True)
    first = Life(node, tmp_path)
    first.asked(stop)
    await first.at(1)
    await first.common.ended()
    second = Life(node, tmp_path)
    for phase in range(2, 8):
        second.asked(plan_for(phase))
        await second.at(phase)
    assert stop.key not in CommonFiles(tmp_path).keys()  # noqa: SIM118
    for life in (second, Life(node, tmp_path)):
        assert "phase 7 already" in life.asked(stop)
        assert not life.common.forbids(replace(life.snapshot, phase=7))


def test_a_plan_of_before_a_rollback_is_not_followed_behind_it(node: Standing, tmp_path: Path) -> None:
    life = Life(node, tmp_path, replace(TERMS, branch="3-abc"))
    assert "never rolled back" in life.asked(plan_for(5, stops=True))


def test_a_node_that_was_not_there_is_told_the_branch_and_one_that_was_has_its_own(node: Standing) -> None:
    saved = replace(node.saved, branch="3-abc")
    assert branch_of(None, None) == ""
    assert branch_of(None, "3-abc") == "3-abc"
    assert branch_of(saved, None) == branch_of(saved, "3-abc") == "3-abc"
    with pytest.raises(StateError, match="branch 3-abc"):
        branch_of(saved, "4-def")
    with pytest.raises(StateError, match="branch none"):
        branch_of(node.saved, "4-def")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"gossip": {"protocol": "push_sum"}}, "push_sum"),
        ({"gossip": {"protocol": "pairwise"}}, "pairwise"),
        ({"gossip": {"protocol": "sync"}, "protection": {"kind": "masked"}}, "masked"),
        ({}, ""),
    ],
)
def test_where_it_makes_no_sense_it_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    study = make_study(tmp_path / "study", tmp_path / "no-model", names=("ada", "bob", "cid", "dan"), **change)
    said = unfit(load_peers(study.peers), insecure=False)
    assert why in said
    assert bool(said) == bool(why)


def test_without_tls_nobody_signs(node: Standing) -> None:
    assert "nobody can sign" in unfit(load_peers(node.study.peers), insecure=True)
