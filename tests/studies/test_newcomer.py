"""A node that joins a simulated federation late is soon as good as the others."""

import json
from pathlib import Path

import numpy as np
import pytest

from gossipfl.config.loading import load_experiment
from gossipfl.errors import ConfigError, DataError
from gossipfl.report.measures import by_node
from gossipfl.report.runs import read_runs
from gossipfl.sim.simulate import simulate
from gossipfl.studies.newcomer import JOINS_S, Joined, join, main, run_study, table

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "newcomer.yaml"


@pytest.mark.slow
def test_it_begins_where_its_neighbors_are_and_stays_within_two_points(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    joined = join(EXPERIMENT, 6, tmp_path / "joins", seed=0)
    assert joined.phase == 6
    assert joined.veterans > 80
    assert joined.first < 2
    assert joined.behind < 2
    (run,) = read_runs([tmp_path / "joins"])
    up = np.array([columns.up for _, columns in run.evaluations])
    at = np.array([summary.virtual_s for summary, _ in run.evaluations])
    assert up[:, :-1].all()
    assert up[:, -1].tolist() == (at >= JOINS_S).tolist()
    assert {summary.worst > 0.2 for summary, _ in run.evaluations if 50 < summary.virtual_s < JOINS_S} == {True}
    steps, accuracy = by_node(run, "step"), by_node(run, "test_accuracy")
    assert steps[at < JOINS_S, -1].max() == 0
    # it has what its neighbors have before it has trained at all
    untrained = int(((at >= JOINS_S) & (steps[:, -1] == 0)).argmax())
    assert accuracy[untrained, -1] > accuracy[untrained, :-1].min() > np.nanmax(accuracy[0]) + 0.3
    assert np.isnan(accuracy[at < JOINS_S, -1]).all()


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["simulation.availability.joins={n99: 1}"], "simulation.availability.joins: 'n99' is no node"),
        (["gossip.protocol=sync"], "joins: gossip.protocol sync: membership dynamic needs wait_free: its nodes number"),
        (["simulation.until_s=90"], "joins: n15 joins at 100 s, and simulation.until_s ends the run at 90 s"),
        (["simulation.until_s=null"], "simulation.availability.joins: simulation.until_s was expected"),
        (["simulation.nodes=2", "simulation.availability.joins={n0: 1, n1: 2}"], "all nodes join"),
    ],
)
def test_who_joins_nothing_is_told(tmp_path: Path, sets: list[str], message: str) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ConfigError, match=message):
        simulate(load_experiment(EXPERIMENT, sets), tmp_path / "run")


def test_a_run_that_ends_too_soon_is_told(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    short = tmp_path / "short.yaml"
    short.write_text(EXPERIMENT.read_text().replace("until_s: 200", "until_s: 104"))
    with pytest.raises(DataError, match="the newcomer did 0 of 4 phases"):
        join(short, 4, tmp_path / "run", seed=0)


def test_the_table_has_a_row_a_size() -> None:
    def joined(nodes: int, seed: int, behind: float) -> Joined:
        return Joined(nodes, seed, phase=6, veterans=90.0, first=1.0, behind=behind, worst=3.0)

    text = table([joined(8, 0, -1.0), joined(8, 1, 1.0), joined(16, 0, 0.5)])
    assert "| 8 | 6 | 90.0 ± 0.0 | 1.0 ± 0.0 | 0.0 ± 1.4 | 3.0 ± 0.0 |" in text
    assert "| 16 | 6 | 90.0 | 1.0 | 0.5 | 3.0 |" in text


@pytest.mark.slow
def test_the_study_writes_what_it_says(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    text = run_study(EXPERIMENT, [4], 1, tmp_path / "o")
    (found,) = json.loads((tmp_path / "o" / "result.json").read_text())
    assert found["nodes"] == 4
    assert f"| 4 | 4 | {found['veterans']:.1f} |" in text


@pytest.mark.parametrize(
    "arguments", [["--nodes", "8,x"], ["--nodes", "1"], ["--seeds", "0"], ["--experiment", "gone"]]
)
def test_a_mistake_is_one_line(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["newcomer", "--output", str(tmp_path / "o"), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
