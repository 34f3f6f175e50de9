"""The study of own models: its arms are of equal work on equal data, and it says what its figures say."""

import json
from pathlib import Path

import pytest
import yaml

from gossipfl.config.loading import load_experiment
from gossipfl.errors import ConfigError, DataError
from gossipfl.studies.personal import ARMS, METHODS, Arm, main, read_arms, run_seed, run_study, table

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "personal.yaml"


def arms_of(**own: list[float]) -> list[Arm]:
    """One node: accuracy by seed, of each arm; what is not said is .5."""
    names = {name: name.replace(" ", "_") for name in ARMS}
    return [
        Arm(name, seed, (own.get(key, [0.5] * 3)[seed],), (0.5,)) for name, key in names.items() for seed in range(3)
    ]


def test_above_both_is_said_of_what_is_above_both_by_more_than_chance() -> None:
    found = read_arms(arms_of(tuned=[0.6, 0.61, 0.62], interpolated=[0.3, 0.9, 0.5], private_head=[0.4, 0.4, 0.4]))
    assert found.claims == {"private head": False, "tuned": True, "interpolated": False}
    assert found.differences["tuned"]["alone"].mean == pytest.approx(11)
    assert found.better == {"private head": 0.0, "tuned": 1.0, "interpolated": pytest.approx(2 / 3)}
    assert "tuned: above both" in table(found)
    assert "interpolated: NOT above both" in table(found)
    # above one of the two is not enough
    between = read_arms(arms_of(tuned=[0.6, 0.61, 0.62], alone=[0.9, 0.9, 0.9]))
    assert between.claims["tuned"] is False


def test_one_seed_has_no_interval_and_claims_nothing() -> None:
    found = read_arms([arm for arm in arms_of(tuned=[0.9, 0.9, 0.9]) if arm.seed == 0])
    assert found.claims == dict.fromkeys(METHODS, False)
    assert "+40.0 |" in table(found)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The study's own experiment with few phases and nodes."""
    content = yaml.safe_load(EXPERIMENT.read_text())
    content["training"]["phases"], content["personal"]["phases"] = 2, 1
    content["simulation"] |= {"nodes": 3, "evaluate_every": 3}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "small.yaml"


@pytest.mark.slow
def test_all_arms_do_as_many_steps_and_a_study_that_was_stopped_goes_on(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "study"
    first = run_seed(small, output / "0", seed=0, head="output.*")
    assert [arm.name for arm in first] == list(ARMS)
    assert all(len(arm.own) == len(arm.common) == 3 for arm in first)
    steps = {
        name: json.loads((output / "0" / name / "result.json").read_text())["node_steps"] for name in ("global", "head")
    }
    assert steps == {"global": 3 * 3 * 5, "head": 3 * 3 * 5}
    before = (output / "0" / "global" / "nodes.jsonl").stat().st_mtime_ns
    reading = run_study(small, 2, output, resume=True)
    assert (output / "0" / "global" / "nodes.jsonl").stat().st_mtime_ns == before
    assert list(reading.arms[:5]) == first
    monkeypatch.setattr(
        "sys.argv",
        ["x", "--experiment", str(small), "--seeds", "2", "--output", str(output), "--resume", "--json"],
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((output / "result.json").read_text())
    assert set(shown) == {"arms", "differences", "better", "claims"}
    with pytest.raises(DataError, match="--resume goes on with a study that was stopped"):
        run_study(small, 2, output)


def test_what_cannot_be_compared_is_said_before_anything_runs(small: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(small.read_text())
    content["personal"] = {}
    small.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"personal\.phases with personal\.interpolate and personal\.against_alone"):
        run_study(small, 1, tmp_path / "out")
    with pytest.raises(ConfigError, match="--seeds 0"):
        run_study(small, 0, tmp_path / "other")


def test_the_experiment_of_the_study_is_one() -> None:
    loaded = load_experiment(EXPERIMENT).experiment
    assert (loaded.personal.phases, loaded.personal.interpolate, loaded.data.held_out) == (5, True, 0.4)
