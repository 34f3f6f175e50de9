"""Arms times seeds: equal work, what was recorded, what stays when it is stopped, and arms that go wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.sim.training import FILES
from tests.studies.comparing import GOSSIP, Here, by_name, compared, loaded

from gossipfl.config.loading import load_experiment
from gossipfl.errors import ConfigError, DataError, StateError
from gossipfl.runs.run_directory import locked
from gossipfl.studies.compare import compare

pytestmark = pytest.mark.slow

pytest.importorskip("sklearn")
pytest.importorskip("flwr")
ARMS = {
    "ring": GOSSIP,
    "complete": {"driver": "gossip", "set": {"topology.kind": "complete"}},
    "alone": {"driver": "alone"},
    "pooled": {"driver": "pooled"},
    "fedavg": {"driver": "fedavg"},
}


def recorded(folder: Path, arm: str, seed: int) -> list[dict[str, Any]]:
    lines = (folder / "study" / "runs" / arm / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a comparison of four arms with three seeds; its result is in study/result.json."""
    folder = tmp_path_factory.mktemp("arms")
    compared(folder, {"arms": ARMS, "seeds": 3, "goal": 0.3})
    return folder


def test_the_result_is_that_of_the_recorded_lines(study: Path) -> None:
    result = json.loads((study / "study" / "result.json").read_text())
    assert [arm["name"] for arm in result["arms"]] == list(ARMS)
    ends = {name: [recorded(study, name, seed)[-1] for seed in range(3)] for name in ARMS}
    ring = [line["test_accuracy"] for line in ends["ring"]]
    for arm in result["arms"]:
        accuracies = [line["test_accuracy"] for line in ends[arm["name"]]]
        assert arm["mean"] == pytest.approx(np.mean(accuracies))
        assert arm["std"] == pytest.approx(np.std(accuracies, ddof=1))
        assert arm["worst_node"] == pytest.approx(np.mean([line["worst"] for line in ends[arm["name"]]]))
        assert arm["mean_model"] == pytest.approx(np.mean([line["mean_model_accuracy"] for line in ends[arm["name"]]]))
        assert arm["bytes_per_node"] == pytest.approx(np.mean([line["bytes_per_node"] for line in ends[arm["name"]]]))
        if arm["name"] != "ring":
            interval = stats.ttest_rel(accuracies, ring).confidence_interval(0.95)
            found = arm["differences"]["mean_node"]
            assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))


def test_every_node_of_every_arm_does_the_same_number_of_steps(study: Path) -> None:
    for arm in json.loads((study / "study" / "result.json").read_text())["arms"]:
        assert arm["equal_work"]
        assert arm["figures"]["steps"]["values"] == {"0": 20, "1": 20, "2": 20}


def test_all_data_in_one_place_is_the_upper_line_and_nodes_alone_the_lower(study: Path) -> None:
    means = {arm["name"]: arm["mean"] for arm in json.loads((study / "study" / "result.json").read_text())["arms"]}
    assert means["alone"] < means["ring"]
    assert means["alone"] < means["complete"]
    assert means["alone"] < means["pooled"]


def test_flowers_server_is_an_arm_like_the_others(study: Path) -> None:
    """It averages all after every phase, as neighbors do on the complete graph."""
    for seed in range(3):
        server, complete = (recorded(study, arm, seed)[-1] for arm in ("fedavg", "complete"))
        assert server["step"] == complete["step"]
        assert server["test_loss"] == pytest.approx(complete["test_loss"], abs=1e-5)


def test_arms_of_one_seed_start_alike_and_seeds_differ(study: Path) -> None:
    starts = {(arm, seed): recorded(study, arm, seed)[0]["test_loss"] for arm in ARMS for seed in range(3)}
    # the loop sums in another order than one learner does
    for seed in range(3):
        assert starts["ring", seed] == pytest.approx(starts["pooled", seed], rel=1e-6)
    assert len({round(starts["ring", seed], 6) for seed in range(3)}) == 3


def test_the_folder_says_everything_and_runs_are_runs(study: Path) -> None:
    again = load_experiment(study / "study" / "config.yaml").experiment
    assert again == loaded(study, {"arms": ARMS, "seeds": 3, "goal": 0.3}).experiment
    ring = load_experiment(study / "study/runs/complete/seed-2/config.yaml").experiment
    assert (ring.topology.kind, ring.seed, ring.compare) == ("complete", 2, None)
    assert (study / "study" / "report.html").read_text().startswith("<!doctype html>")


# ---- stopped, and gone on with ----


def test_what_is_done_is_not_done_again_and_the_end_is_the_same(tmp_path: Path) -> None:
    table = {"arms": {"ring": GOSSIP, "pooled": {"driver": "pooled"}}, "seeds": 2}
    stopped, went_on = Here(stop_at=3), Here()
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path / "stopped", table, stopped)
    assert not (tmp_path / "stopped" / "study" / "result.json").exists()
    resumed = compared(tmp_path / "stopped", table, went_on)
    # seed by seed: all arms have come equally far
    assert stopped.started == ["ring/seed-0", "pooled/seed-0", "ring/seed-1"]
    assert went_on.started == ["pooled/seed-1"]
    whole = compared(tmp_path / "whole", table)
    for arm, summary in by_name(whole).items():
        for figure in ("mean_node", "worst_node", "mean_model", "steps", "bytes_per_node", "virtual_s"):
            assert summary.values(figure) == by_name(resumed)[arm].values(figure)
        for name in FILES:
            place = Path("study") / "runs" / arm / "seed-1" / name
            assert (tmp_path / "whole" / place).read_bytes() == (tmp_path / "stopped" / place).read_bytes()


def test_arms_and_seeds_may_be_added_to_a_comparison(tmp_path: Path) -> None:
    compared(tmp_path, {"arms": {"ring": GOSSIP}, "seeds": 1})
    more = Here()
    compared(tmp_path, {"arms": {"ring": GOSSIP, "alone": {"driver": "alone"}}, "seeds": 2}, more)
    assert more.started == ["alone/seed-0", "ring/seed-1", "alone/seed-1"]


def test_an_arm_of_the_same_name_that_is_another_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    compared(tmp_path, {"arms": {"ring": GOSSIP}, "seeds": 1})
    here = Here()
    with pytest.raises(StateError, match=r"ring/seed-0 holds a run of another configuration"):
        compared(tmp_path, {"arms": {"new": GOSSIP, "ring": ARMS["complete"]}, "seeds": 1}, here)
    assert not here.started


def test_two_processes_do_not_share_a_comparison(tmp_path: Path) -> None:
    table = {"arms": {"ring": GOSSIP}, "seeds": 1}
    compared(tmp_path, table)
    with (
        locked(tmp_path / "study" / "config.yaml"),
        pytest.raises(StateError, match=r"another process runs in .*study"),
    ):
        compared(tmp_path, table)


# ---- arms that go wrong ----


def test_an_arm_that_diverges_or_fails_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    arms = {
        "wild": {"driver": "gossip", "set": {"training": {"optimizer": "sgd", "learning_rate": 1e30}}},
        "cube": {"driver": "gossip", "set": {"topology.kind": "no_such_graph"}},
        "ring": GOSSIP,
    }
    comparison = compared(tmp_path, {"arms": arms, "seeds": 1, "reference": "ring"})
    found = by_name(comparison)
    assert found["wild"].faults[0].status == "diverged"
    assert "no longer finite" in found["wild"].faults[0].message
    assert found["cube"].faults[0].status == "failed"
    assert "no_such_graph" in found["cube"].faults[0].message
    assert list(found["ring"].done) == [0]
    report = comparison.report.read_text()
    assert "no_such_graph" in report
    assert "diverged" in report
    # what has no result is tried again
    again = Here()
    compared(tmp_path, {"arms": arms, "seeds": 1, "reference": "ring"}, again)
    assert again.started == ["wild/seed-0", "cube/seed-0"]


def test_an_arm_with_other_work_is_marked(tmp_path: Path) -> None:
    arms = {
        "ring": GOSSIP,
        "longer": {"driver": "gossip", "set": {"training.phases": 6}},
        "larger": {"driver": "alone", "set": {"training.batch_size": 32}},
    }
    comparison = compared(tmp_path, {"arms": arms, "seeds": 1})
    assert [arm.equal_work for arm in comparison.arms] == [True, False, False]
    assert comparison.report.read_text().count("≠ work") == 3


# ---- mistakes ----


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"driver": "gossip", "set": {"seed": 3}}, "seed: an arm does not set it; compare.seeds says with which"),
        ({"driver": "gossip", "set": {"compare.seeds": 3}}, "compare: an arm does not set it; arms have no arms"),
        ({"driver": "alone", "set": {"gossip": {"protocol": "sync"}}}, "gossip.protocol: an arm of driver alone does"),
        ({"driver": "gossip", "set": {"topology.knd": 1}}, "topology.knd: unknown key, did you mean 'kind'?"),
    ],
)
def test_a_mistake_in_an_arm_is_one_line_before_anything_is_run(tmp_path: Path, arm: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compared(tmp_path, {"arms": {"ring": GOSSIP, "odd": arm}})
    assert str(caught.value).startswith(f"{tmp_path / 'arms.yaml'}: compare.arms.odd.set: {said}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_a_file_without_arms_and_a_folder_with_something_in_it_are_refused(tmp_path: Path) -> None:
    table = {"arms": {"ring": GOSSIP}}
    experiment = loaded(tmp_path, table)
    with pytest.raises(DataError, match=r"is not empty; --resume goes on with a comparison that was stopped"):
        compare(experiment, tmp_path, executor=Here().opened)
    without = tmp_path / "without.yaml"
    without.write_text((tmp_path / "arms.yaml").read_text().split("compare:")[0])
    with pytest.raises(ConfigError, match=r"without\.yaml: compare is missing: a table of arms"):
        compare(load_experiment(without), tmp_path / "new", executor=Here().opened)


def test_an_arm_of_another_driver_does_not_take_over_what_the_first_has_done(tmp_path: Path) -> None:
    compared(tmp_path, {"arms": {"x": GOSSIP}, "seeds": 1})
    for arm in ({"driver": "pooled"}, {"driver": "fedavg"}):
        with pytest.raises(StateError, match=r"holds a run of another configuration: '# gossipfl simulate' there, '# "):
            compare(loaded(tmp_path, {"arms": {"x": arm}, "seeds": 1}), tmp_path / "study", resume=True)
