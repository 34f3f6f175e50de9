"""One node ten times slower hardly delays the others under wait_free, and holds all of them up under sync."""

import json
from pathlib import Path

import pytest
import yaml

from gossipfl.errors import DataError
from gossipfl.studies.straggler import Terms, main, race

pytestmark = pytest.mark.slow

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "straggler.yaml"
# as much training as the goal needs: what settling adds waits for the slow node
SMALL = ("training.phases=12", "gossip.settle_rounds=4", "training.threads=1")
TERMS = Terms(EXPERIMENT, goal=0.7, overrides=SMALL)


def test_wait_free_goes_on_without_the_slow_node(tmp_path: Path) -> None:
    assert race(TERMS, "wait_free", tmp_path, seed=0).price <= 1.3


def test_sync_waits_for_the_slow_node(tmp_path: Path) -> None:
    assert race(TERMS, "sync", tmp_path, seed=0).price >= 3


def test_a_goal_out_of_reach_is_said(tmp_path: Path) -> None:
    terms = Terms(EXPERIMENT, goal=0.999, overrides=(*SMALL, "training.phases=1"))
    with pytest.raises(DataError, match=r"goal 0\.999 is never reached: the best mean accuracy"):
        race(terms, "sync", tmp_path, seed=0)


def tiny(folder: Path) -> Path:
    content = yaml.safe_load(EXPERIMENT.read_text())
    content["training"].update(phases=4, threads=1)
    content["gossip"].update(settle_rounds=2)
    content["simulation"].update(nodes=6)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_command_prints_the_table_and_the_pictures_that_it_drew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "study"
    assert main(["--experiment", str(tiny(tmp_path)), "--goal", ".3", "--seeds", "1", "--output", str(output)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [str(output / f"straggler.{ending}") for ending in ("png", "svg")]
    for race_, row in zip(json.loads((output / "result.json").read_text()), said[2:4], strict=True):
        assert row.startswith(f"| `{race_['protocol']}` | 0 | {race_['without_s']:.1f} | {race_['with_s']:.1f} |")
    assert Path(said[-2]).read_bytes().startswith(b"\x89PNG")
    drawn = Path(said[-1]).read_text()
    assert "<svg" in drawn
    # words are comments beside their outlines
    for words in ("wait_free: ", "sync: ", "all alike", "one node 10 times slower", "goal 0.3"):
        assert f"<!-- {words}" in drawn
