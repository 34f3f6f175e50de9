"""The graph of a run: colors of the recorded values, hollow where a node was down."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from tests.report.recorded_runs import averaged, trained, with_an_outage
from tests.sim.averaging import lines

from gossipfl.report.animation import MOST_FRAMES, animate, frames_of
from gossipfl.report.recorded import Evaluation
from gossipfl.report.run_graph import build_scene, coloring_of, draw_run_graph, show
from gossipfl.report.runs import read_runs

WHITE = [1.0, 1.0, 1.0, 1.0]


def test_nodes_have_the_colors_of_their_last_accuracies(tmp_path: Path) -> None:
    (run,) = read_runs([trained(tmp_path / "run")])
    accuracies = lines(tmp_path, "nodes.jsonl")[-1]["test_accuracy"]
    coloring = coloring_of(run)
    assert coloring.values[-1].tolist() == accuracies
    scene = build_scene(run, coloring, coloring.values[-1])
    show(scene, run, coloring, len(run.evaluations) - 1)
    assert np.allclose(scene.circles.get_facecolor(), scene.scale.to_rgba(np.array(accuracies)))
    assert scene.scale.get_clim() == (min(accuracies), max(accuracies))
    assert len(scene.figure.axes) == 2  # the color bar


def test_without_training_they_have_those_of_their_distances(tmp_path: Path) -> None:
    (run,) = read_runs([averaged(tmp_path)])
    coloring = coloring_of(run)
    assert coloring.text == "distance from the mean"
    assert coloring.values.tolist() == [line["distance"] for line in lines(tmp_path, "nodes.jsonl")]


def test_a_node_that_is_down_is_hollow_and_one_that_has_finished_is_not(tmp_path: Path) -> None:
    (run,) = read_runs([with_an_outage(tmp_path / "outage")])
    coloring = coloring_of(run)
    scene = build_scene(run, coloring, coloring.values)
    down = next(place for place, (_, columns) in enumerate(run.evaluations) if columns.up[0] and not columns.up[3])
    for place, hollow in ((down, True), (len(run.evaluations) - 1, False)):
        show(scene, run, coloring, place)
        faces = np.asarray(scene.circles.get_facecolor()).tolist()
        assert (faces[3] == WHITE) is hollow
        assert faces[0] != WHITE
        assert np.asarray(scene.circles.get_edgecolor()).tolist()[3] != WHITE
    assert not any(run.evaluations[-1].columns.up)


def test_a_node_keeps_its_color_until_it_is_evaluated_again(tmp_path: Path) -> None:
    (run,) = read_runs([trained(tmp_path / "run", "simulation.evaluate_share=0.5")])
    recorded = [line["test_accuracy"] for line in lines(tmp_path, "nodes.jsonl")]
    values = coloring_of(run).values
    for node in range(len(run.graph)):
        last = np.nan
        for place, line in enumerate(recorded):
            last = last if line[node] is None else line[node]
            assert np.array_equal(values[place, node], last, equal_nan=True)


def test_equal_distances_and_zeros_are_drawn(tmp_path: Path) -> None:
    (run,) = read_runs([averaged(tmp_path)])
    summary, columns = run.evaluations[-1]
    for distance in (0.0, 1.0):
        equal = Evaluation(summary, dataclasses.replace(columns, distance=(distance,) * 6))
        draw_run_graph(dataclasses.replace(run, evaluations=(equal,))).savefig(tmp_path / "x.png")


def test_an_animation_has_a_frame_an_evaluation(tmp_path: Path) -> None:
    (run,) = read_runs([averaged(tmp_path)])
    animate(run, tmp_path / "x.gif")
    # the last round is evaluated once more at the end, which gives an equal frame: Pillow makes one of the two
    moments = {(evaluation.summary.virtual_s, evaluation.summary.round) for evaluation in run.evaluations}
    with Image.open(tmp_path / "x.gif") as image:
        assert image.format == "GIF"
        assert getattr(image, "n_frames", 1) == len(moments) == 5


def test_frames_are_bounded_and_evenly_chosen() -> None:
    assert frames_of(1) == [0]
    assert frames_of(MOST_FRAMES) == list(range(MOST_FRAMES))
    frames = frames_of(1000)
    assert len(frames) == len(set(frames)) == MOST_FRAMES
    assert (frames[0], frames[-1]) == (0, 999)
    assert max(np.diff(frames)) - min(np.diff(frames)) <= 1
