"""A comparison says what its runs have recorded, arm beside arm, seed by seed."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.report.written_runs import Written, compared

from gossipfl.core.json_text import json_text
from gossipfl.errors import StateError
from gossipfl.report import compare_cells as cells
from gossipfl.report.compare_cells import reading
from gossipfl.report.comparison import ArmSummary, Comparison, Fault
from gossipfl.report.measures import Measure

RING = [Written([0.1, 0.5, 0.7, 0.80]), Written([0.1, 0.6, 0.85, 0.90]), Written([0.1, 0.5, 0.7, 0.82])]
STAR = [Written([0.1, 0.4, 0.6, 0.70]), Written([0.1, 0.5, 0.7, 0.75]), Written([0.1, 0.4, 0.6, 0.72])]


def arms(comparison: Comparison) -> dict[str, ArmSummary]:
    return {arm.name: arm for arm in comparison.arms}


def test_figures_are_the_means_and_deviations_of_the_last_evaluations(tmp_path: Path) -> None:
    ring = arms(compared(tmp_path, {"ring": RING}))["ring"].figures
    last = [0.80, 0.90, 0.82]
    assert ring["mean_node"].mean == pytest.approx(np.mean(last))
    assert ring["mean_node"].std == pytest.approx(np.std(last, ddof=1))
    assert ring["worst_node"].mean == pytest.approx(np.mean(last) - 0.1)
    assert ring["mean_model"].mean == pytest.approx(np.mean(last) + 0.05)
    assert (ring["bytes_per_node"].mean, ring["virtual_s"].mean, ring["seconds"].mean) == (3000, 6, 3.5)
    assert ring["steps"].mean == 30


def test_differences_are_paired_by_seed_with_the_interval_of_a_t_test(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"ring": RING, "star": STAR})
    found = arms(comparison)["star"].differences["mean_node"]
    ours, theirs = ([written.means[-1] for written in arm] for arm in (STAR, RING))
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (np.mean(ours) - np.mean(theirs), interval.low, interval.high)
    )
    assert not arms(comparison)["ring"].differences
    assert compared(tmp_path / "other", {"ring": RING, "star": STAR}, reference="star").arms[0].differences


def test_a_seed_that_failed_in_one_arm_is_no_pair(tmp_path: Path) -> None:
    star: list[Written | Fault] = [STAR[0], Fault("diverged", "values are no longer finite"), STAR[2]]
    found = arms(compared(tmp_path, {"ring": RING, "star": star}))["star"]
    assert found.differences["mean_node"].pairs == 2
    assert found.differences["mean_node"].mean == pytest.approx((0.70 - 0.80 + 0.72 - 0.82) / 2)
    assert (list(found.done), list(found.faults)) == ([0, 2], [1])


def test_steps_to_the_goal_are_those_of_the_first_evaluation_that_reaches_it(tmp_path: Path) -> None:
    found = arms(compared(tmp_path, {"ring": RING, "star": STAR}, goal=0.8))
    assert found["ring"].values("steps_to_goal") == {0: 30, 1: 20, 2: 30}
    assert all(math.isnan(steps) for steps in found["star"].values("steps_to_goal").values())
    assert found["star"].figures["steps_to_goal"].mean is None


def test_a_goal_of_a_loss_is_reached_from_above(tmp_path: Path) -> None:
    losses = [Written([3.0, 2.0, 1.5, 1.2], figure="loss")]
    comparison = compared(tmp_path, {"ring": losses}, goal=1.5)
    assert comparison.measure == Measure("test", "loss")
    assert comparison.arms[0].values("steps_to_goal") == {0: 20}
    assert comparison.arms[0].values("worst_node") == {0: pytest.approx(1.3)}


def test_a_loss_that_is_no_number_at_the_end_is_divergence(tmp_path: Path) -> None:
    wild = [Written([0.1, 0.1], loss=math.nan), Written([0.1, 0.1], loss=math.inf), Written([0.1, 0.2])]
    found = compared(tmp_path, {"wild": wild}).arms[0]
    assert {seed: fault.status for seed, fault in found.faults.items()} == {0: "diverged", 1: "diverged"}
    assert list(found.done) == [2]


def test_a_run_that_is_not_finished_is_no_result(tmp_path: Path) -> None:
    found = compared(tmp_path, {"ring": [Written([0.1, 0.9], done=False)]}).arms[0]
    assert found.faults == {0: Fault("failed", "it was not finished")}
    assert found.figures["mean_node"].mean is None


def test_a_result_of_another_version_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"result\.json has no 'noise'"):
        _without(tmp_path, "noise")


def _without(folder: Path, key: str) -> None:
    comparison = compared(folder, {"ring": [RING[0]]})
    path = comparison.arms[0].trials[0].folder / "result.json"
    path.write_text(json_text({name: value for name, value in json.loads(path.read_text()).items() if name != key}))
    from gossipfl.report.comparing import read_comparison  # noqa: PLC0415

    read_comparison([comparison.arms[0].source], comparison.terms, comparison.report)


def test_arms_that_did_fewer_steps_than_planned_did_unequal_work(tmp_path: Path) -> None:
    spent = [Written([0.1, 0.5, 0.6]), *RING[1:]]
    found = arms(compared(tmp_path, {"ring": RING, "spent": spent}))
    assert found["ring"].equal_work
    assert not found["spent"].equal_work


def test_kinds_of_noise_are_kept_apart(tmp_path: Path) -> None:
    local, central = Written([0.1, 0.5], epsilon=8.0, noise="local"), Written([0.1, 0.5], epsilon=8.0, noise="central")
    found = arms(compared(tmp_path, {"gossip": [local], "server": [central], "both": [local, central]}))
    assert [found[name].noise for name in ("gossip", "server", "both")] == ["local", "central", "central and local"]


def test_json_has_the_keys_that_scripts_rely_on(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"ring": RING, "star": [*STAR[:2], Fault("failed", "no disk")]}, goal=0.8)
    result = json.loads(json_text(comparison.as_json()))
    assert result["report"] == str(tmp_path / "report.html")
    ring, star = result["arms"]
    assert {"name", "mean", "std", "epsilon", "bytes_per_node", "seconds"} <= ring.keys()
    assert ring["mean"] == pytest.approx(0.84)
    assert ring["figures"]["mean_node"]["values"] == {"0": 0.8, "1": 0.9, "2": 0.82}
    assert ring["epsilon"] is None
    assert star["failures"] == [{"seed": 2, "status": "failed", "message": "no disk"}]
    assert star["differences"]["mean_node"]["pairs"] == 2


def test_measures_that_runs_have_are_in_the_table_and_others_are_not(tmp_path: Path) -> None:
    one, other = ({"rouge_l": value, "chrf": 0.5} for value in (0.2, 0.4))
    trials = {
        "ring": [Written([0.1], figure="loss", measures=one), Written([0.1], figure="loss", measures=other)],
        "star": [Written([0.1], figure="loss")],
    }
    comparison = compared(tmp_path, trials)
    ring, star = comparison.arms
    assert list(cells.columns(comparison)) == [
        *("mean_node", "worst_node", "mean_model", "rouge_l", "chrf"),
        *("epsilon", "bytes_per_node", "steps", "virtual_s", "seconds"),
    ]
    assert cells.cell(ring, "rouge_l") == "0.300 ± 0.141"
    assert cells.cell(star, "rouge_l") == cells.NOTHING
    result = json.loads(json_text(comparison.as_json()))["arms"][0]
    assert result["figures"]["rouge_l"]["values"] == {"0": 0.2, "1": 0.4}
    assert result["chrf"] == pytest.approx(0.5)
    assert "macro_f1" not in result


def test_a_run_whose_clients_diverged_is_a_run_that_diverged(tmp_path: Path) -> None:
    fed = [Written([0.1, 0.5], rejected={"diverged": 2}), Written([0.1, 0.5], rejected={"failed": 2})]
    found = compared(tmp_path, {"fed": fed}).arms[0]
    assert {seed: fault.status for seed, fault in found.faults.items()} == {0: "diverged"}
    assert list(found.done) == [1]


def test_a_run_of_which_nothing_is_known_takes_nothing_from_the_others(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"blind": [Written([math.nan, math.nan], judged=False)], "ring": RING[:1]})
    blind, ring = comparison.arms
    assert comparison.measure == Measure("test", "accuracy")
    assert [fault.status for fault in blind.faults.values()] == ["failed"]
    assert ring.figures["mean_node"].mean == 0.80


def test_arms_with_different_kinds_of_noise_are_not_called_better_or_worse(tmp_path: Path) -> None:
    def arm(noise: str, last: float) -> list[Written | Fault]:
        return [Written([0.1, last + place / 100], noise=noise) for place in range(3)]

    trials = {
        "ring": arm("local", 0.5),
        "server": arm("central", 0.8),
        "star": arm("local", 0.7),
        "free": arm("none", 0.9),
    }
    comparison = compared(tmp_path, trials)
    said = {one.name: reading(comparison, one) for one in comparison.arms[1:]}
    assert said == {"server": "another kind of noise", "star": "better", "free": "better"}
