"""The main job, from nothing to a table, by real processes on real text."""

from pathlib import Path

import pytest

from gossipfl.studies.demo import DemoResult, run_demo
from gossipfl.studies.demo_config import NODES, PHASES
from gossipfl.studies.demo_files import deal_bbc


def test_no_article_of_the_test_set_is_on_a_node_and_none_is_on_two() -> None:
    parts, test = deal_bbc(seed=0)
    texts = [text for name in NODES for text, _ in parts[name]] + [text for text, _ in test]
    assert len(texts) == len(set(texts))


def test_the_split_is_the_same_every_time_and_another_for_another_seed() -> None:
    assert deal_bbc(seed=3) == deal_bbc(seed=3)
    assert deal_bbc(seed=3)[0] != deal_bbc(seed=4)[0]


@pytest.mark.slow(100)
def test_a_quarter_of_the_demo_shows_already_that_gossip_is_ten_points_above_alone(tmp_path: Path) -> None:
    assert_kept(run_demo(tmp_path, seed=1, phases=PHASES // 4))


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gossip_is_at_least_ten_points_above_alone_on_every_split(tmp_path: Path, seed: int) -> None:
    assert_kept(run_demo(tmp_path, seed=seed))


def assert_kept(result: DemoResult) -> None:
    """What is promised of every split."""
    assert result.gossip_mean - result.alone_mean >= 0.10
    for node in result.nodes:
        assert node.epsilon is not None
        assert node.target_epsilon is not None
        assert 0 < node.epsilon <= node.target_epsilon
