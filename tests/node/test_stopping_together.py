"""Real nodes stop together: who does not follow goes on; where rounds are numbered all stop behind the same one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.forked import forked
from tests.node.agreed import AHEAD, LOCAL_STEPS, PHASES, REST, WAIT_S, checkpoint, move, roll_back
from tests.node.study import Study, make_study, start_together

from gossipfl.errors import StateError
from gossipfl.node.proposing import ask_all
from gossipfl.studies.fleet import Fleet, node_job

pytestmark = pytest.mark.slow


def test_one_that_does_not_follow_goes_on_and_holds_up_nobody(tmp_path: Path, tiny_model: Path) -> None:
    names = ("ada", "bob", "cid")
    study = make_study(
        tmp_path / "study",
        tiny_model,
        names=names,
        training={"phases": 2 * AHEAD, "local_steps": LOCAL_STEPS, "evaluate_every": 0},
        gossip={"settle_rounds": 1, "deadline_s": 1, "linger_s": 2},
        privacy={"level": "none", "target_epsilon": None},
    )
    own = study.folder / "peers-bob.yaml"
    own.write_text(study.peers.read_text())
    study.edit("peers.yaml", lambda content: content.update(coordinators=["ada"]))
    jobs = [study.job("ada"), node_job(own, "bob", log=study.folder / "bob.log"), study.job("cid")]
    with Fleet(jobs, launch=forked) as fleet:
        start_together(study, fleet)
        at = max(study.phase(name) for name in names) + AHEAD
        asked = asyncio.run(ask_all(study.peers, name="ada", environ={}, phase=at, stops=True))
        codes = {name: process.wait(WAIT_S) for name, process in fleet.processes.items()}
    assert "coordinators" in (asked.answers["bob"] or "")
    assert codes == {"ada": 3, "bob": 0, "cid": 3}
    assert {name: study.saved(name).snapshot.phase for name in names} == {"ada": at, "bob": 2 * AHEAD, "cid": at}
    gathered = checkpoint(study, "ada", asked)
    assert gathered is not None
    assert gathered.missing == ("bob",)
    with pytest.raises(StateError, match="bob did not sign"):
        roll_back(study, "ada", asked)


@pytest.mark.parametrize(("protocol", "rounds"), [("sync", 2), ("noloco", 1)])
def test_where_rounds_are_numbered_all_stop_behind_the_same_one_and_go_on_from_an_earlier_one(
    tmp_path: Path, tiny_model: Path, protocol: str, rounds: int
) -> None:
    names = ("ada", "bob", "cid")
    study = make_study(
        tmp_path / "study",
        tiny_model,
        names=names,
        training={"phases": PHASES, "local_steps": 1, "evaluate_every": 0},
        gossip={"protocol": protocol, "rounds_per_phase": rounds, "deadline_s": 60},
        privacy={"level": "none", "target_epsilon": None},
    )
    study.edit("peers.yaml", lambda content: content.update(coordinators=["ada"]))
    jobs = [study.job(name) for name in names]
    with Fleet(jobs, launch=forked) as fleet:
        start_together(study, fleet)
        kept_at = max(study.phase(name) for name in names) + AHEAD
        kept, _ = (
            asyncio.run(ask_all(study.peers, name="ada", environ={}, phase=at, stops=stops))
            for at, stops in ((kept_at, False), (kept_at + REST, True))
        )
        codes = {name: process.wait(WAIT_S) for name, process in fleet.processes.items()}
    assert codes == dict.fromkeys(names, 3)
    assert ends_of(study, names) == (kept_at + REST, rounds * (kept_at + REST))
    assert len({roll_back(study, name, kept) for name in names}) == 1
    assert ends_of(study, names) == (kept_at, rounds * kept_at)
    move(study)
    study.edit("experiment.yaml", lambda content: content["training"].update(phases=kept_at + 2 * REST))
    with Fleet(jobs, launch=forked) as fleet:
        results = fleet.results(timeout_s=WAIT_S)
    assert {(result["phase"], result["state"]) for result in results.values()} == {(kept_at + 2 * REST, "done")}
    assert all(row["absent"] == [] for name in names for row in study.rows(name)[-REST:])


def ends_of(study: Study, names: Sequence[str]) -> tuple[int, int]:
    """Phase and round of all newest checkpoints; under sync what all have mixed on a complete graph is the same too."""
    ends = [study.saved(name).snapshot for name in names]
    if "protocol: sync" in (study.folder / "experiment.yaml").read_text():
        assert all(np.allclose(end.state.vector, ends[0].state.vector, atol=1e-6) for end in ends)
    ((phase, number),) = {(end.phase, end.round) for end in ends}
    return phase, number
