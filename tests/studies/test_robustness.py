"""The study of robustness: its arms are what they are called, and its reading says what the recorded runs say."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.report.written_runs import Written, compared
from tests.sim.training import digits

from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.core.mixing import MIXINGS as TABLE
from gossipfl.errors import ConfigError, DataError
from gossipfl.report.comparison import Comparison, Fault
from gossipfl.studies.compare_here import Here
from gossipfl.studies.compare_plan import plan_orders, with_table
from gossipfl.studies.corpora import Definition
from gossipfl.studies.robustness import parts_of, run_study
from gossipfl.studies.robustness_arms import MIXINGS, PARTS, PLAIN, Part
from gossipfl.studies.robustness_data import LONGEST, SYSTEM, sides, terms
from gossipfl.studies.robustness_reading import reading
from gossipfl.studies.study_options import Terms

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize("name", list(PARTS))
def test_every_arm_is_an_experiment_with_two_attackers_of_its_kind(name: str) -> None:
    part = PARTS[name]
    loaded = load_experiment(EXPERIMENTS / f"{part.experiment}.yaml")
    base = loaded.experiment
    for arm in list(part.arms.values()):
        changes = arm.as_config(part.setting or {})["set"]
        assert isinstance(changes, Mapping)
        made = change_experiment(loaded, changes, source="test").experiment
        attackers = made.simulation.attackers
        assert attackers.nodes == ("n3", "n10")
        assert attackers.kind == ("ipm" if arm.attack.startswith("ipm") else arm.attack)
        assert (made.gossip.mixing == "weighted") == (arm.mixing == PLAIN)
        assert made.gossip.mixing in TABLE
        assert made.training.batch_size == base.training.batch_size
    assert next(iter(part.arms)) == f"none-{PLAIN}"
    assert set(part.mixings) <= MIXINGS.keys()


def test_a_part_that_is_not_there_is_named() -> None:
    assert list(parts_of("unlike,digits")) == ["digits", "unlike"]
    assert parts_of("digits", 2)["digits"].seeds == (0, 1)
    with pytest.raises(ConfigError, match="--parts: 'digit' is unknown; there are digits, dumbbell"):
        parts_of("digit")


SMALL = Part("small", (PLAIN, "clip"), ("none", "sign_flip", "backdoor"), (0, 1, 2))


def recorded(folder: Path, **ends: Sequence[float] | Sequence[Fault]) -> Comparison:
    """Accuracies at the end, by arm, seed after seed."""
    trials = {
        name.replace("__", "-"): [each if isinstance(each, Fault) else Written([0.1, each]) for each in own]
        for name, own in ends.items()
    }
    return compared(folder, trials)


def accuracies(folder: Path, **others: Any) -> Comparison:
    even = [0.90, 0.92, 0.94]
    ends: dict[str, Any] = {
        "none__plain": even,
        "none__clip": [0.89, 0.91, 0.93],
        "sign_flip__plain": [0.10, 0.12, 0.14],
        "sign_flip__clip": [0.86, 0.88, 0.90],
        "backdoor__plain": even,
        "backdoor__clip": even,
    }
    return recorded(folder, **{**ends, **others})


def test_points_are_lost_to_plain_gossip_without_attackers_seed_by_seed(tmp_path: Path) -> None:
    text = reading(accuracies(tmp_path), SMALL)
    assert "accuracy 92.0%" in text
    assert "| none | 0 | 1.0 [1.0, 1.0] |" in text
    assert "| sign_flip | 80.0 [80.0, 80.0] | 4.0 [4.0, 4.0] |" in text
    assert "- plain: at most 5 points lost under 1 of 2 attacks (with its whole interval under 1), at least 20" in text
    assert "- clip: at most 5 points lost under 2 of 2 attacks (with its whole interval under 2)" in text
    assert "worst sign_flip, 4.0 lost" in text


def test_a_mean_is_within_while_its_interval_is_not(tmp_path: Path) -> None:
    text = reading(accuracies(tmp_path, sign_flip__clip=[0.90, 0.92, 0.80]), SMALL)
    assert "- clip: at most 5 points lost under 2 of 2 attacks (with its whole interval under 1)" in text


def test_a_run_without_a_result_has_lost_everything(tmp_path: Path) -> None:
    gone = [0.1, Fault("diverged", "too large"), Fault("diverged", "too large")]
    text = reading(accuracies(tmp_path, sign_flip__plain=gone), SMALL)
    assert "80.0 (2 of 3 diverged)" in text
    assert "worst sign_flip, no result" in text
    assert "at least 20 under 1; worst sign_flip, no result" in text


def test_of_a_loss_points_are_parts_of_what_plain_gossip_takes_off_it(tmp_path: Path) -> None:
    """It ends at .5 where it began at 2; an arm that ends at .8 has lost a fifth of that."""
    ends = {"none-plain": 0.5, "none-clip": 0.8, "sign_flip-plain": 2.0, "sign_flip-clip": 0.5}
    trials = {name: [Written([2.0, loss], figure="loss", loss=loss) for _ in range(2)] for name, loss in ends.items()}
    text = reading(compared(tmp_path, trials), Part("loss", (PLAIN, "clip"), ("none", "sign_flip"), (0, 1)))
    assert "loss 2.000 to 0.500" in text
    assert "| none | 0 | 20.0 [20.0, 20.0] |" in text
    assert "| sign_flip | 100.0 [100.0, 100.0] | 0.0 [0.0, 0.0] |" in text


def test_of_a_language_model_points_are_tokens_said_first_and_the_gain_is_told_beside_them(tmp_path: Path) -> None:
    ends = {
        "none-plain": (0.5, 0.40),
        "none-clip": (0.5, 0.41),
        "sign_flip-plain": (2.0, 0.15),
        "sign_flip-clip": (0.65, 0.38),
    }
    trials = {
        name: [Written([2.0, loss], figure="loss", loss=loss, said=[0.1, said]) for _ in range(2)]
        for name, (loss, said) in ends.items()
    }
    text = reading(compared(tmp_path, trials), Part("tokens", (PLAIN, "clip"), ("none", "sign_flip"), (0, 1)))
    assert "loss 2.000 to 0.500, 10.0 to 40.0% of the tokens said first" in text
    points, gain = text.split("% of the gain lost", 1)
    assert "| sign_flip | 25.0 [25.0, 25.0] | 2.0 [2.0, 2.0] |" in points
    assert "- plain: at most 5 points lost under 0 of 1 attacks" in points
    assert "| sign_flip | 100.0 [100.0, 100.0] | 10.0 [10.0, 10.0] |" in gain
    assert "- clip: at most 5 % of the gain lost under 0 of 1 attacks" in gain


def test_the_sides_of_the_dumbbell_have_half_of_the_classes_each() -> None:
    rows = list(sides())
    assert len(rows) == 1797
    for row in rows:
        side = int(str(row["node"])[1:]) // 10
        assert int(str(row["label"])) // 5 == side
    assert len({row["node"] for row in rows}) == 20


def test_terms_are_tested_on_trained_on_or_public() -> None:
    def row(number: int, system: str, length: int = 20) -> Definition:
        return {"prompt": f'What is "t{number}"?', "response": "d" * length, "organ_system": system}

    definitions = [row(n, SYSTEM) for n in range(300)] + [row(n, "other") for n in range(300, 320)]
    definitions += [row(400, SYSTEM, LONGEST + 1), row(401, "other", LONGEST + 1)]
    test, records, public = terms(definitions)
    asked = {str(each["prompt"]) for each in test} | {str(each["prompt"]) for each in records}
    assert asked == {f"t{n}" for n in range(300)}
    assert len(test) == 80
    assert [str(each["text"]).split("\n")[0] for each in public] == [f"t{n}" for n in range(300, 320)]


# ---- runs in this process ----


def write_experiment(folder: Path) -> None:
    content = digits(
        training__phases=2,
        gossip__deadline_s=5.0,
        simulation__attackers={"nodes": ["n1"], "trigger": {"places": [-1]}},
    )
    folder.mkdir()
    (folder / "robustness.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.slow
def test_a_study_is_read_from_its_folder_when_it_is_begun_again(tmp_path: Path) -> None:
    write_experiment(tmp_path / "experiments")
    part = Part("two", (PLAIN, "clip"), ("none", "backdoor"), (0,))
    wished = (tmp_path / "experiments", tmp_path / "out", {"two": part})
    text = run_study(*wished, Terms("command"))
    assert (tmp_path / "out" / "reading.md").read_text() == text
    assert "Trigger success of honest nodes: plain" in text
    result = tmp_path / "out" / "two" / "runs" / "backdoor-clip" / "seed-0" / "result.json"
    before = result.stat().st_mtime_ns
    assert json.loads(result.read_text())["final"]["trigger_success"] >= 0
    assert run_study(*wished, Terms("command", resume=True)) == text
    assert result.stat().st_mtime_ns == before
    with pytest.raises(DataError, match="is not empty"):
        run_study(*wished, Terms("command"))


def test_ctrl_c_in_a_run_ends_the_study_and_not_only_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_experiment(tmp_path / "experiments")
    loaded: LoadedExperiment = load_experiment(tmp_path / "experiments" / "robustness.yaml")
    table = Part("one", (PLAIN,), ("none",), (0,)).table
    (order,) = plan_orders(with_table(loaded, table), tmp_path / "out")
    # the signal of a terminal, as soon as a run listens to it
    monkeypatch.setattr("gossipfl.sim.running._rarely_collecting", _interrupting)
    with pytest.raises(KeyboardInterrupt):
        Here().start(order)
    assert not order.is_done


class _interrupting:  # noqa: N801  # a context like the one it stands for
    def __enter__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def __exit__(self, *_: object) -> None:
        return
