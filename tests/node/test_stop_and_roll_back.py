"""Four real nodes agree on a checkpoint, go on, stop together, are rolled back, and go on from there.

The fourth only dials out, so it hears of everything over its links; it is rolled back later than the others.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked
from tests.node.agreed import AHEAD, LOCAL_STEPS, PHASES, REST, WAIT_S, checkpoint, move, roll_back
from tests.node.study import Study, make_study, start_together, wait_until

from gossipfl.core.common import Gathered
from gossipfl.errors import StateError
from gossipfl.node.proposing import Asked, ask_all
from gossipfl.node.signed_checkpoints import believers_in, verified
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.publications import read_log, verify
from gossipfl.privacy.spent import AccountSummary, spent
from gossipfl.studies.fleet import Fleet

pytestmark = pytest.mark.slow(60)
NAMES = ("ada", "bob", "cid", "dan")


def ask(study: Study, who: str, *, stops: bool) -> Asked:
    at = max(study.phase(name) for name in NAMES) + AHEAD
    return asyncio.run(ask_all(study.peers, name=who, environ={}, phase=at, stops=stops))


def is_whole(study: Study, asked: Asked) -> bool:
    found = [checkpoint(study, name, asked) for name in NAMES]
    return all(each is not None and each.whole for each in found)


def paid(study: Study, name: str) -> AccountSummary:
    (account,) = spent(read_ledger_link(study.state(name)))
    return account


def give_command(study: Study, name: str, asked: Asked) -> str:
    """The command, as an operator gives it."""
    command = ["rollback", "--peers", str(study.peers), "--name", name, "--to", asked.plan.key, "--json"]
    done = subprocess.run([sys.executable, "-m", "gossipfl", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["branch"])


def refusal(study: Study, name: str, asked: Asked) -> str:
    """Why a node is not rolled back."""
    with pytest.raises(StateError) as refused:
        roll_back(study, name, asked)
    return str(refused.value)


@dataclass(frozen=True, slots=True)
class Story:
    """All that happened.

    Attributes:
        kept, stopped: what was asked for.
        running: why a running node was not rolled back.
        codes: by which the nodes ended together.
        ends: phase and digest of what each node's newest checkpoint held then.
        paid: ledgers then.
        back: branches that the rollbacks told.
        after: the newest checkpoints behind them.
        paid_after: ledgers behind them.
        strangers: what the node that was not rolled back heard of the others.
        results: of the end.
    """

    study: Study
    kept: Asked
    stopped: Asked
    running: str
    codes: Mapping[str, int | None]
    ends: Mapping[str, tuple[int, str]]
    paid: Mapping[str, AccountSummary]
    back: Mapping[str, str]
    after: Mapping[str, tuple[int, str]]
    paid_after: Mapping[str, AccountSummary]
    strangers: str
    results: Mapping[str, dict[str, Any]]


def newest(study: Study) -> dict[str, tuple[int, str]]:
    saved = {name: study.saved(name).snapshot for name in NAMES}
    return {name: (snapshot.phase, snapshot.state.sharing().digest()) for name, snapshot in saved.items()}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Story:
    study = make_study(
        tmp_path_factory.mktemp("rolled") / "study",
        tiny_model,
        names=NAMES,
        dials_only=("dan",),
        training={"phases": PHASES, "local_steps": LOCAL_STEPS, "evaluate_every": 0},
        gossip={"settle_rounds": 2, "deadline_s": 5, "linger_s": 60},
        privacy={"level": "example", "target_epsilon": None, "noise_multiplier": 1.0, "target_delta": 1e-5},
    )
    study.edit("peers.yaml", lambda content: content.update(coordinators=["ada"]))
    jobs = [study.job(name) for name in NAMES]
    with Fleet(jobs, launch=forked) as fleet:
        start_together(study, fleet)
        kept = ask(study, "ada", stops=False)
        wait_until(lambda: is_whole(study, kept), fleet, what="all have signed")
        running = refusal(study, "ada", kept)
        stopped = ask(study, "ada", stops=True)
        codes = {name: process.wait(WAIT_S) for name, process in fleet.processes.items()}
    ends, before = newest(study), {name: paid(study, name) for name in NAMES}
    back = {"ada": give_command(study, "ada", kept)} | {name: roll_back(study, name, kept) for name in ("bob", "cid")}
    after, paid_after = newest(study), {name: paid(study, name) for name in NAMES}
    move(study)
    end = kept.plan.phase + REST
    study.edit("experiment.yaml", lambda content: content["training"].update(phases=end))
    with Fleet(jobs, launch=forked) as fleet:
        log = study.folder / "dan.log"
        seen = len(log.read_text())
        wait_until(lambda: "rolled back to phase" in log.read_text()[seen:], fleet, what="dan is refused")
        strangers = log.read_text()[seen:]
        fleet.kill("dan")
        back["dan"] = roll_back(study, "dan", kept)
        after["dan"] = newest(study)["dan"]
        fleet.start(jobs[3])
        results = fleet.results(timeout_s=600)
    return Story(study, kept, stopped, running, codes, ends, before, back, after, paid_after, strangers, results)


def test_all_follow_the_one_they_have_named_and_one_without_an_address_hears_it_from_its_neighbors(
    story: Story,
) -> None:
    assert story.kept.answers == {"ada": "", "bob": "", "cid": "", "dan": None}
    assert "dan" in found(story, story.kept).statements


def found(story: Story, asked: Asked) -> Gathered:
    gathered = checkpoint(story.study, "bob", asked)
    assert gathered is not None
    return gathered


def test_every_node_has_all_signatures_and_the_authority_is_all_it_takes_to_verify_them(story: Story) -> None:
    believes = believers_in(story.study.folder / "certs" / "authority.pem", None)
    for name in NAMES:
        for asked in (story.kept, story.stopped):
            gathered, refused = verified(signed_file(story, name, asked), believes)
            assert gathered.whole, name
            assert not refused
            assert not gathered.apart, "each kept the state of that very phase"


def signed_file(story: Story, name: str, asked: Asked) -> Path:
    return story.study.state(name) / "common" / asked.plan.key / "signed.jsonl"


def test_a_running_node_is_not_rolled_back(story: Story) -> None:
    assert "another process runs" in story.running


def test_all_stop_after_the_same_phase_with_a_code_and_a_word_that_say_so(story: Story) -> None:
    assert story.codes == dict.fromkeys(NAMES, 3)
    assert {phase for phase, _ in story.ends.values()} == {story.stopped.plan.phase}
    for name in NAMES:
        assert "all nodes have kept and signed their states" in (story.study.folder / f"{name}.log").read_text()


def test_what_they_stopped_with_is_what_they_have_signed(story: Story) -> None:
    stated = found(story, story.stopped).statements
    assert {name: state for name, (_, state) in story.ends.items()} == {
        name: statement.state for name, statement in stated.items()
    }


def test_rolled_back_they_hold_what_they_signed_and_are_on_one_branch(story: Story) -> None:
    stated = found(story, story.kept).statements
    assert story.after == {name: (story.kept.plan.phase, stated[name].state) for name in NAMES}
    assert len(set(story.back.values())) == 1
    assert story.after != story.ends


def test_the_one_that_was_not_rolled_back_is_refused_and_told_why(story: Story) -> None:
    assert "gossipfl rollback" in story.strangers
    assert "never rolled back" in story.strangers
    assert story.back["ada"] in story.strangers


def test_no_epsilon_comes_back_by_a_rollback_and_what_is_done_again_is_paid_again(story: Story) -> None:
    for name in NAMES:
        signed = found(story, story.kept).statements[name].charges
        assert story.paid_after[name] == story.paid[name], "a rollback reads the ledger and changes nothing"
        assert story.paid[name].charges > signed
        last = paid(story.study, name)
        assert last.epsilon > story.paid[name].epsilon
        assert last.steps >= (story.stopped.plan.phase + REST) * LOCAL_STEPS


def test_what_publications_state_never_falls_and_the_log_says_what_was_rolled_back(story: Story) -> None:
    for name in NAMES:
        path = story.study.state(name) / "publications.jsonl"
        log = verify(path, (story.study.folder / "certs" / f"{name}.pem").read_bytes())
        assert [(each.phase, each.branch) for each in log.rollbacks] == [(story.kept.plan.phase, story.back[name])]
        stated = [(row.publication.charges, row.publication.epsilon) for row in read_log(path)]
        assert stated == sorted(stated)


def test_all_four_go_on_from_there_to_the_end(story: Story) -> None:
    assert {result["phase"] for result in story.results.values()} == {story.kept.plan.phase + REST}
    assert {result["state"] for result in story.results.values()} == {"done"}
