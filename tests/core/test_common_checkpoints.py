"""Plans, statements and branches: what is whole, who is believed, and what a node agrees to."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.common import (
    Plan,
    Statement,
    Terms,
    branch_after,
    federation_of,
    gather,
    plan_in,
    statement_in,
)
from gossipfl.core.papers import Paper, read_paper

NAMES = ("ada", "bob", "cid")
PLAN = Plan("f" * 64, "", 6, NAMES, stops=False, asked_by="ada")
TERMS = Terms("bob", "f" * 64, "", NAMES, 10, ("ada",))


def signed(name: str, text: bytes) -> Paper:
    """Stands for a signature: who signs writes his name beside it."""
    return Paper(text, b"certificate", name.encode())


def believes(name: str, paper: Paper) -> bool:
    return paper.signature == name.encode()


def statement(node: str, plan: Plan = PLAN, phase: int = 6) -> Statement:
    return Statement(plan.digest, plan.federation, node, phase, 2 * phase, f"state of {node}", "sealed", 0, "")


def papers(plan: Plan, nodes: Sequence[str]) -> list[Paper]:
    return [signed(plan.asked_by, plan.text), *(signed(node, statement(node, plan).text) for node in nodes)]


@given(st.sets(st.sampled_from(NAMES)), st.randoms(use_true_random=False))
def test_it_is_whole_when_every_node_has_signed_in_whatever_order(nodes: set[str], rng: st.DataObject) -> None:
    stated = papers(PLAN, sorted(nodes))
    shuffled = stated[1:]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    gathered, refused = gather([stated[0], *shuffled, *shuffled], believes)
    assert gathered.whole == (nodes == set(NAMES))
    assert {*gathered.missing} == {*NAMES} - nodes
    assert not refused


def test_a_statement_that_another_has_signed_counts_for_nothing() -> None:
    forged = signed("eve", statement("cid").text)
    gathered, refused = gather([*papers(PLAN, ("ada", "bob")), forged], believes)
    assert gathered.missing == ("cid",)
    assert list(refused) == ["line 4"]


def test_statements_for_another_plan_or_by_a_stranger_count_for_nothing() -> None:
    other = replace(PLAN, phase=7)
    strange = [signed("cid", statement("cid", other).text), signed("eve", statement("eve").text)]
    gathered, _ = gather([*papers(PLAN, ("ada", "bob")), *strange], believes)
    assert gathered.missing == ("cid",)
    assert "eve" not in gathered.statements


def test_a_node_that_was_late_is_named_with_the_phase_it_kept() -> None:
    late = signed("cid", statement("cid", phase=8).text)
    gathered, _ = gather([*papers(PLAN, ("ada", "bob")), late], believes)
    assert gathered.whole
    assert gathered.apart == {"cid": 8}


def test_a_plan_is_believed_of_nobody_but_who_asks() -> None:
    assert plan_in(signed("ada", PLAN.text), believes) == PLAN
    with pytest.raises(ValueError, match="has not signed"):
        plan_in(signed("eve", PLAN.text), believes)
    assert statement_in(signed("ada", PLAN.text), believes) is None


@given(st.integers(0, len(PLAN.text) - 1), st.integers(1, 255))
def test_a_plan_with_another_byte_is_no_plan_or_another_one(place: int, change: int) -> None:
    text = bytearray(PLAN.text)
    text[place] ^= change
    paper = read_paper(signed("ada", bytes(text)).line) if b"\t" not in text and b"\n" not in text else None
    if paper is None:
        return
    try:
        found = plan_in(paper, lambda _, __: True)
    except ValueError:
        return
    assert found is None or found.digest != PLAN.digest


@given(st.binary(max_size=300))
def test_bytes_that_are_no_paper_are_refused_as_that(data: bytes) -> None:
    try:
        paper = read_paper(data)
        plan_in(paper, believes)
        statement_in(paper, believes)
    except ValueError:
        return
    assert paper.text


def test_more_bytes_than_a_paper_has_are_refused_before_they_are_read() -> None:
    with pytest.raises(ValueError, match="bytes"):
        read_paper(b"{}\t\t" + b"A" * (1 << 17))


Turns = st.lists(st.integers(1, 9), max_size=6)


def branch_of(turns: Sequence[int]) -> str:
    branch = ""
    for phase in turns:
        branch = branch_after(branch, replace(PLAN, phase=phase, branch=branch))
    return branch


@given(Turns, Turns)
def test_two_nodes_are_on_one_branch_when_they_were_rolled_back_alike_and_only_then(a: list[int], b: list[int]) -> None:
    assert (branch_of(a) == branch_of(b)) == (a == b)


def test_a_federation_is_the_same_on_another_graph_and_after_a_rollback_and_no_other() -> None:
    about = {"model": "m", "gossip": "g", "schedule": "s"}
    assert federation_of(about) == federation_of({**about, "schedule": "t", "branch": "6-1"})
    assert federation_of(about) != federation_of({**about, "model": "n"})


def test_where_rounds_are_numbered_all_keep_the_state_behind_the_same_one() -> None:
    own_pace, in_rounds = TERMS, replace(TERMS, rounds_per_phase=3)
    assert own_pace.has_reached(PLAN, phase=6, round=17, exhausted=False)
    assert not in_rounds.has_reached(PLAN, phase=6, round=17, exhausted=False), "trained, and not yet mixed"
    assert in_rounds.has_reached(PLAN, phase=6, round=18, exhausted=False)
    assert own_pace.has_reached(PLAN, phase=2, round=0, exhausted=True)
    assert not in_rounds.has_reached(PLAN, phase=2, round=17, exhausted=True), "it mixes on with the others"


@pytest.mark.parametrize(
    ("terms", "plan", "why"),
    [
        (TERMS, PLAN, ""),
        (TERMS, replace(PLAN, asked_by="bob"), ""),
        (TERMS, replace(PLAN, asked_by="cid"), "coordinators"),
        (replace(TERMS, coordinators=()), PLAN, "coordinators"),
        (TERMS, replace(PLAN, federation="0" * 64), "another federation"),
        (TERMS, replace(PLAN, branch="3-abc"), "rolled back to phase 3"),
        (TERMS, replace(PLAN, nodes=("ada", "bob")), "nodes"),
        (TERMS, replace(PLAN, phase=11), "phase 11"),
        (TERMS, replace(PLAN, phase=0), "phase 0"),
        (replace(TERMS, unfit="no"), PLAN, "no"),
    ],
)
def test_a_node_follows_only_whom_its_operator_named_in_what_it_runs(terms: Terms, plan: Plan, why: str) -> None:
    refusal = terms.refusal(plan)
    assert why in refusal if why else not refusal
