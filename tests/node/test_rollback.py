"""A rollback of one node: what it takes, what it changes, what it never does; and that a kill in it changes nothing."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.forked import forked
from tests.node.killed_node import ROLLBACK_MOMENTS
from tests.node.rolled import Standing, standing
from tests.node.study import Study

from gossipfl.core.common import Plan, branch_after, plan_in
from gossipfl.errors import LedgerError, StateError
from gossipfl.node.checkpoint import save_checkpoint
from gossipfl.node.common_files import CommonFiles, read_signed
from gossipfl.node.rollback import RollbackRequest, RolledBack, roll_back
from gossipfl.privacy.publications import read_log, verify
from gossipfl.privacy.spent import AccountSummary, spent
from gossipfl.studies.fleet import Job


def back(node: Standing, to: str, *statements: Path) -> RolledBack:
    return roll_back(RollbackRequest(node.study.peers, to, "ada", statements=statements))


def account(node: Standing) -> AccountSummary:
    (found,) = spent(node.ledger)
    return found


def rollbacks(node: Standing) -> list[tuple[int, str]]:
    log = verify(node.path / "publications.jsonl", (node.study.folder / "certs" / "ada.pem").read_bytes())
    return [(each.phase, each.branch) for each in log.rollbacks]


@pytest.fixture(scope="module")
def four_phases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained four phases, kept the second one."""
    node = standing(tmp_path_factory.mktemp("four") / "study")
    for phase in range(4):
        node.train()
        if phase == 1:
            node.keep()
    return node.study.folder


@pytest.fixture
def node(four_phases: Path, tmp_path: Path) -> Standing:
    """A copy; its ledger is that of the copy."""
    shutil.copytree(four_phases, tmp_path / "study")
    made = Standing(Study(tmp_path / "study", ("ada", "bob")))
    link = made.path / "ledger.json"
    link.write_text(link.read_text().replace(str(four_phases), str(tmp_path / "study")))
    return made


def test_the_state_is_the_one_that_was_kept_in_full_and_on_a_branch_of_its_own(node: Standing) -> None:
    (key,) = CommonFiles(node.path).keys()
    kept, _ = CommonFiles(node.path).kept(key)
    done = back(node, "2")
    saved = node.saved
    assert (saved.snapshot.phase, saved.snapshot.step) == (2, 2) == (done.phase, done.step)
    assert saved.snapshot.state == kept.snapshot.state
    assert saved.snapshot.unmixed == kept.snapshot.unmixed
    assert saved.branch == done.branch != ""


def test_the_ledger_is_what_it_was_and_the_log_tells_of_the_rollback_behind_all_before(node: Standing) -> None:
    before, published = account(node), list(read_log(node.path / "publications.jsonl"))
    done = back(node, "2")
    assert account(node) == before
    assert list(read_log(node.path / "publications.jsonl")) == published
    assert rollbacks(node) == [(2, done.branch)]


def test_the_same_command_again_does_nothing_until_something_was_published(node: Standing) -> None:
    first, again = back(node, "2"), back(node, "2")
    assert not first.already
    assert again.already
    assert rollbacks(node) == [(2, first.branch)]
    node.train()
    third = back(node, "2")
    assert third.branch not in {"", first.branch}
    assert node.saved.snapshot.phase == 2


def test_a_finished_run_is_not_finished_any_more(node: Standing) -> None:
    (node.path / "finished").write_text("the end")
    back(node, "2")
    assert not (node.path / "finished").exists()


def test_a_checkpoint_that_one_node_did_not_sign_is_none_until_its_statement_is_brought(node: Standing) -> None:
    plan = replace_signed(node, ("ada",))
    before = node.saved.snapshot.phase
    with pytest.raises(StateError, match="bob did not sign"):
        back(node, plan)
    assert node.saved.snapshot.phase == before
    assert not rollbacks(node)
    elsewhere = node.study.folder / "signed-by-bob.jsonl"
    shutil.copy(CommonFiles(node.path).signed("whole"), elsewhere)
    shutil.rmtree(node.path / "common" / "whole")
    assert back(node, plan, elsewhere).phase == 2


def replace_signed(node: Standing, names: tuple[str, ...]) -> str:
    """Leaves only these nodes' statements; what was there lies beside it, under another name."""
    files = CommonFiles(node.path)
    (key,) = files.keys()
    (node.path / "common" / "whole").mkdir()
    shutil.copy(files.signed(key), files.signed("whole"))
    lines = files.signed(key).read_bytes().splitlines(keepends=True)
    kept = [line for line in lines[1:] if any(f'"node": "{name}"'.encode() in line for name in names)]
    files.signed(key).write_bytes(b"".join([lines[0], *kept]))
    return key


def test_a_node_that_left_is_not_waited_for(node: Standing) -> None:
    plan = replace_signed(node, ("ada",))
    node.study.edit("peers.yaml", lambda content: content["nodes"].pop())
    assert back(node, plan).gone == ("bob",)


def test_a_state_that_was_altered_is_not_gone_back_to(node: Standing) -> None:
    files = CommonFiles(node.path)
    (key,) = files.keys()
    path = node.path / "common" / key / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        back(node, "2")


def test_a_whole_state_that_is_another_than_the_signed_one_is_not_gone_back_to(node: Standing) -> None:
    files = CommonFiles(node.path)
    (key,) = files.keys()
    other = save_checkpoint(node.study.folder, node.saved)
    shutil.copy(other, node.path / "common" / key / "state.safetensors")
    with pytest.raises(StateError, match="not the one it has signed"):
        back(node, "2")


def test_a_ledger_that_went_back_is_noticed(node: Standing) -> None:
    node.ledger.unlink()
    for rest in node.study.folder.glob("ledger.sqlite-*"):
        rest.unlink()
    other = standing(node.study.folder / "other")
    for _ in range(2):
        other.train()
    shutil.copy(other.ledger, node.ledger)
    with pytest.raises(LedgerError, match="went back"):
        back(node, "2")
    assert node.saved.snapshot.phase == 4


def test_what_is_not_there_is_named(node: Standing) -> None:
    with pytest.raises(StateError, match="there are: 2-"):
        back(node, "3")


def test_a_checkpoint_of_another_federation_is_refused(node: Standing) -> None:
    fingerprint = node.path / "fingerprint.json"
    fingerprint.write_text(fingerprint.read_text().replace('"m"', '"n"'))
    with pytest.raises(StateError, match="another federation"):
        back(node, "2")


@pytest.mark.parametrize("where", ROLLBACK_MOMENTS)
def test_killed_anywhere_the_state_is_the_old_or_the_new_one_and_the_command_goes_on(
    node: Standing, where: str
) -> None:
    before, old = account(node), node.saved
    (key,) = CommonFiles(node.path).keys()
    command = ["rollback", "--peers", str(node.study.peers), "--name", "ada", "--to", "2"]
    job = Job("ada", ["-m", "tests.node.killed_node", where, "1", *command], node.study.folder / "ada.log")
    assert forked(job, os.environ).wait(100) == -signal.SIGKILL
    now = node.saved
    assert (now.branch, now.snapshot.phase) in {("", 4), (branch_after("", plan_of(node, key)), 2)}
    if now.branch:
        assert rollbacks(node), "what is done was said before"
    else:
        assert now.snapshot.state == old.snapshot.state
    assert account(node) == before
    done = back(node, "2")
    assert (done.phase, node.saved.branch) == (2, done.branch)
    assert rollbacks(node) == [(2, done.branch)], "said once"
    assert account(node) == before


def plan_of(node: Standing, key: str) -> Plan:
    plan = plan_in(read_signed(CommonFiles(node.path).signed(key))[0], node.certified("ada").has_signed)
    assert plan is not None
    return plan


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["train", "keep", "back"]), min_size=4, max_size=9))
def test_whatever_is_trained_kept_and_rolled_back_no_epsilon_and_no_count_of_publications_ever_falls(
    turns: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = standing(Path(folder) / "study")
        kept, figures = list[str](), [(0, 0.0, 0)]
        for turn in ["train", "keep", *turns]:
            match turn:
                case "train":
                    node.train()
                case "keep":
                    kept.append(node.keep().key)
                case _:
                    back(node, kept[len(kept) // 2])
            figures.append(figures_of(node))
        assert figures == sorted(figures)
        assert all(now >= before for now, before in zip(figures[1:], figures, strict=False))


def figures_of(node: Standing) -> tuple[int, float, int]:
    found, published = account(node), len(list(read_log(node.path / "publications.jsonl")))
    return found.charges, found.epsilon, published
