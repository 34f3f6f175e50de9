"""Curves hold the recorded numbers and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.report.recorded_runs import averaged, trained
from tests.sim.averaging import lines

from gossipfl.report.curves import draw_consensus, draw_measure
from gossipfl.report.measures import figures_of, measure_of
from gossipfl.report.runs import read_runs


def drawn(axes: Axes, place: int) -> tuple[list[float], list[float]]:
    line = axes.lines[place]
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def column(recorded: list[dict[str, Any]], key: str) -> list[float]:
    return [line[key] for line in recorded]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in it that was trained."""
    folder = tmp_path_factory.mktemp("study")
    trained(folder / "run")
    return folder


def test_accuracy_is_drawn_as_recorded_against_steps_time_and_bytes(study: Path) -> None:
    picture = draw_measure(read_runs([study / "run"]), "accuracy")
    recorded = lines(study)
    for axes, key in zip(picture.axes, ("step", "virtual_s", "bytes_per_node"), strict=True):
        assert drawn(axes, 0) == (column(recorded, key), column(recorded, "test_accuracy"))
        assert drawn(axes, 1) == (column(recorded, key), column(recorded, "mean_model_accuracy"))
        assert axes.lines[1].get_linestyle() == "--"


def test_the_band_goes_from_the_worst_to_the_best_node(study: Path) -> None:
    picture = draw_measure(read_runs([study / "run"]), "accuracy")
    band = picture.axes[0].collections[0].get_paths()[0].vertices
    heights = {round(float(y), 12) for _, y in np.asarray(band)}
    for line in lines(study, "nodes.jsonl"):
        assert {round(min(line["test_accuracy"]), 12), round(max(line["test_accuracy"]), 12)} <= heights


def test_consensus_has_a_log_axis_and_the_recorded_bound(tmp_path: Path) -> None:
    (axes,) = draw_consensus(read_runs([averaged(tmp_path)])).axes
    recorded = lines(tmp_path)
    assert axes.get_yscale() == "log"
    assert drawn(axes, 0) == (column(recorded, "round"), column(recorded, "consensus_distance"))
    assert drawn(axes, 1) == (column(recorded, "round"), column(recorded, "bound"))


def test_unlike_runs_share_what_both_have_and_keep_their_colors(tmp_path: Path, study: Path) -> None:
    runs = read_runs([averaged(tmp_path / "a$b$_^"), study / "run"])
    assert figures_of(runs) == ["accuracy"]
    accuracy, consensus = draw_measure(runs, "accuracy"), draw_consensus(runs)
    assert len(accuracy.axes[0].lines) == 2
    assert accuracy.axes[0].lines[0].get_color() == consensus.axes[0].lines[2].get_color() == "C1"
    (legend,) = consensus.legends
    assert [text.get_text() for text in legend.get_texts()][1] == f"{study.name}/run"
    consensus.savefig(tmp_path / "x.png")


def test_without_a_common_test_set_nodes_are_judged_on_their_own_records(tmp_path: Path) -> None:
    (run,) = read_runs([trained(tmp_path / "run", "data.test_share=0")])
    measure = measure_of(run)
    assert measure is not None
    assert measure.text == "accuracy, own held-out records"
    axes = draw_measure([run], "accuracy").axes[0]
    assert drawn(axes, 0)[1] == column(lines(tmp_path), "own_accuracy")


def test_many_runs_have_as_many_colors(tmp_path: Path) -> None:
    (run,) = read_runs([averaged(tmp_path)])
    (axes,) = draw_consensus([run] * 12).axes
    assert len({str(line.get_color()) for line in axes.lines}) == 12
