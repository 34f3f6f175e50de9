"""`gossipfl node --tensorboard`: what its metrics.jsonl has by phase, also where it was killed."""

from pathlib import Path

import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.study import Study, wait_until
from tests.runs.event_files import curves_in

from gossipfl.studies.fleet import Fleet

pytestmark = pytest.mark.slow
TAGS = {"held_out/loss": "loss", "held_out/accuracy": "accuracy", "privacy/epsilon": "epsilon"}


def check(study: Study, folder: Path, name: str) -> None:
    last = {row["phase"]: row for row in study.rows(name)}
    found = curves_in(folder / name)
    assert set(found) >= {*TAGS, "distance/to_neighbors"}
    assert [place for place, _ in found["privacy/epsilon"]] == sorted(last)
    for tag, key in TAGS.items():
        known = [(phase, row[key]) for phase, row in sorted(last.items()) if row[key] is not None]
        assert [place for place, _ in found[tag]] == [place for place, _ in known]
        assert [value for _, value in found[tag]] == pytest.approx([value for _, value in known], rel=1e-6)


def test_a_node_that_is_killed_goes_on_in_the_same_curves(begin: Begin, tmp_path: Path) -> None:
    gossip = {"settle_rounds": 2, "linger_s": 30}
    study = begin(names=("ada", "bob"), gossip=gossip, training={"evaluate_every": 1, "phases": 6})
    folder = tmp_path / "curves"
    jobs = {name: study.job(name, "--tensorboard", str(folder)) for name in study.names}
    with Fleet([*jobs.values()], launch=forked) as fleet:
        wait_until(lambda: study.phase("ada") >= 2, fleet, what="ada has done two phases")
        fleet.kill("ada")
        fleet.start(jobs["ada"])
        fleet.results(timeout_s=120)
    for name in study.names:
        check(study, folder, name)
        assert study.phase(name) == 6
