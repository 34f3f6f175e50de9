"""Images, and words with a tag each, at clients of Flower."""

from pathlib import Path

import pytest
from tests.baseline.flower_runs import COMPLETE, centralized, distance, gossiped
from tests.sim.labeled import KINDS, labeled
from tests.sim.training import NOISE

from gossipfl.report.runs import read_runs

CLOSE = 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_fedavg_is_exact_gossip_of_the_same_learners(kind: str, tmp_path: Path, tiny_folders: dict[str, Path]) -> None:
    # one factor is frozen: the mean of products is the product of means
    content = labeled(tmp_path, kind, tiny_folders["bert"], privacy=NOISE, adapter__kind="ffa", **COMPLETE)
    server, gossip = centralized(tmp_path, content), gossiped(tmp_path, content)
    assert distance(server, gossip) <= CLOSE
    (run,) = read_runs([server.output])
    assert run.evaluations[-1].summary.figure("test_macro_f1") == server.final["mean_macro_f1"]
