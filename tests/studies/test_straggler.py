"""One node ten times slower hardly delays the others under wait_free, and holds all of them up under sync."""

from pathlib import Path

import pytest

from gossipfl.errors import DataError
from gossipfl.studies.straggler import Terms, race

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "straggler.yaml"
# as much training as the goal needs: what settling adds waits for the slow node
SMALL = ("training.phases=20", "gossip.settle_rounds=4", "training.threads=1")
TERMS = Terms(EXPERIMENT, goal=0.8, overrides=SMALL)


def test_wait_free_goes_on_without_the_slow_node(tmp_path: Path) -> None:
    assert race(TERMS, "wait_free", tmp_path, seed=0).price <= 1.3


def test_sync_waits_for_the_slow_node(tmp_path: Path) -> None:
    assert race(TERMS, "sync", tmp_path, seed=0).price >= 3


def test_a_goal_out_of_reach_is_said(tmp_path: Path) -> None:
    terms = Terms(EXPERIMENT, goal=0.999, overrides=(*SMALL, "training.phases=1"))
    with pytest.raises(DataError, match=r"goal 0\.999 is never reached: the best mean accuracy"):
        race(terms, "sync", tmp_path, seed=0)
