"""Real nodes that come and go: nobody but the first knows more than one address to begin with."""

import asyncio
import json
import math
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.forked import forked
from tests.node.study import Study, make_study, records, wait_until

from gossipfl.node.asking import ask_all
from gossipfl.studies.fleet import Fleet, Job, node_job

pytestmark = pytest.mark.slow
NAMES = ("ada", "bob", "cid", "dot")
PROBE_S = 0.25


class Village:
    """A study whose nodes have a peers.yaml each, with themselves in it and nobody else."""

    def __init__(self, study: Study) -> None:
        self.study = study
        content = yaml.safe_load(study.peers.read_text())
        self.addresses = {node["name"]: node["address"] for node in content["nodes"]}
        for node in content["nodes"]:
            own = {
                **content,
                "nodes": [node],
                "membership": "dynamic",
                "probe_s": PROBE_S,
                "topology": {"kind": "ring"},
            }
            self.peers(node["name"]).write_text(yaml.safe_dump(own, sort_keys=False))

    def peers(self, name: str) -> Path:
        return self.study.folder / f"peers-{name}.yaml"

    def log(self, name: str) -> Path:
        return self.study.folder / f"{name}.log"

    def job(self, name: str, *through: str) -> Job:
        """The node's command; without anybody to join through it is the first."""
        extra = [part for other in through for part in ("--join", self.addresses[other])]
        return node_job(self.peers(name), name, log=self.log(name), extra=[*extra, "--serve"])

    def up(self, name: str) -> Sequence[str]:
        """Whom the node took to be up last."""
        found = re.findall(r": up: (.*)", self.log(name).read_text()) if self.log(name).exists() else []
        return found[-1].split(", ") if found else []

    def accuracies(self, name: str, *, until: int = 10**9) -> list[float]:
        """Of a common test set, by phase."""
        rows = [row for row in self.study.rows(name) if row["phase"] <= until]
        return [row["test_accuracy"] for row in rows if row["test_accuracy"] is not None]

    def agree(self, *names: str) -> bool:
        """Whether each of them takes exactly these to be up."""
        return all(sorted(self.up(name)) == sorted(names) for name in names)


@pytest.fixture
def village(tmp_path: Path, tiny_model: Path) -> Village:
    training = {"phases": 60, "local_steps": 4, "evaluate_every": 1, "learning_rate": 0.05}
    gossip = {"settle_rounds": 2, "deadline_s": 20, "linger_s": 60}
    sections: dict[str, Any] = {
        "privacy": {"level": "none", "target_epsilon": None},
        "data": {"test": "common.jsonl"},
    }
    study = make_study(tmp_path / "study", tiny_model, names=NAMES, training=training, gossip=gossip, **sections)
    (study.folder / "common.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records(9, 200)))
    return Village(study)


def test_a_newcomer_starts_where_its_neighbors_are_and_the_dead_and_the_gone_leave_the_graph(village: Village) -> None:
    study = village.study
    first = [village.job("ada"), village.job("bob", "ada"), village.job("cid", "ada")]
    with Fleet(first, launch=forked) as fleet:
        wait_until(lambda: village.agree("ada", "bob", "cid"), fleet, what="three know each other")
        wait_until(lambda: study.phase("ada") >= 15, fleet, what="they have learned something")
        # it knows of cid only, and joins all
        fleet.start(village.job("dot", "cid"))
        wait_until(lambda: village.agree(*NAMES), fleet, what="four know each other")
        soon = 2 * round(math.log2(len(NAMES)))
        wait_until(lambda: study.phase("dot") > soon, fleet, what="the newcomer has trained 2·log2 n phases")
        veterans = [village.accuracies("ada")[-1], village.accuracies("bob")[-1], village.accuracies("cid")[-1]]
        assert max(village.accuracies("dot", until=soon)) >= sum(veterans) / len(veterans) - 0.02

        # asked by a peers.yaml in which it stands alone
        seen = asyncio.run(ask_all(village.peers("ada"), name="ada", environ={}))
        assert sorted(node.name for node in seen.nodes if node.answer is not None) == list(NAMES)

        fleet.kill("bob")
        wait_until(lambda: village.agree("ada", "cid", "dot"), fleet, what="the dead one is found")
        assert "bob is down" in village.log("ada").read_text()

        fleet.processes["cid"].send_signal(signal.SIGTERM)
        assert fleet.processes["cid"].wait(30) == 0
        wait_until(lambda: village.agree("ada", "dot"), fleet, what="who takes leave is gone")
        assert "cid is left" in village.log("ada").read_text()
        assert re.search(r"cid takes part no longer; \d+\.\d% of this node's state", village.log("ada").read_text())
        assert "cid is down" not in village.log("ada").read_text()

        fleet.start(village.job("bob", "dot"))
        wait_until(lambda: village.agree("ada", "bob", "dot"), fleet, what="the dead one is back")
        before = {name: study.phase(name) for name in ("ada", "bob", "dot")}
        wait_until(
            lambda: all(study.phase(name) > before[name] or study.phase(name) == 60 for name in before),
            fleet,
            what="all go on",
        )
