"""A small T5 at four nodes learns of its neighbors what none of its own terms says."""

import json
from pathlib import Path

import pytest

from gossipfl.errors import ConfigError
from gossipfl.studies.corpora import Definition
from gossipfl.studies.text_to_text import ARMS, BEFORE, FIGURES, Outcome, deal, run_seed, run_study, table

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "text-to-text.yaml"


def definitions(system: int, count: int) -> list[Definition]:
    return [
        {"prompt": f'What does the medical term "t{number}" mean?', "response": f"d {system} {number}",
         "organ_system": f"Abnormality of the s{system}"}
        for number in range(count)
    ]  # fmt: skip


def test_each_node_has_two_of_the_most_frequent_systems_and_nobody_what_is_tested() -> None:
    every = [row for system in range(10) for row in definitions(system, 180 if system < 8 else 60)]
    train, test = deal(every, seed=3)
    assert (len(train), len(test)) == (8 * 150, 8 * 25)
    assert not {row["prompt"] for row in train} & {row["prompt"] for row in test}
    systems = {node: {row["response"] for row in train if row["node"] == node} for node in ("n0", "n1", "n2", "n3")}
    assert sorted(name for own in systems.values() for name in own) == [f"s{system}" for system in range(8)]
    assert {len(own) for own in systems.values()} == {2}
    assert train[0]["prompt"].partition(": ")[2].startswith(f"d {train[0]['response'][1:]} ")
    assert (train, test) == deal(every, seed=3)
    assert test != deal(every, seed=4)[1]


def test_the_table_has_means_and_deviations() -> None:
    found = [
        Outcome(seed, {arm: dict.fromkeys(FIGURES, 0.5 + 0.1 * seed) for arm in (BEFORE, *ARMS)}) for seed in (0, 1)
    ]
    assert "| gossip | 0.550 ± 0.071 |" in table(found)
    assert "| before | 0.500 |" in table(found[:1])


def test_no_seed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--seeds: one seed at least"):
        run_study(EXPERIMENT, 0, tmp_path / "out")


@pytest.mark.slow
def test_a_short_study_gives_figures_of_every_arm(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")
    short = tmp_path / "short.yaml"
    short.write_text(
        EXPERIMENT.read_text().replace("phases: 80", "phases: 2").replace("warmup_steps: 20", "warmup_steps: 0")
    )
    outcome = run_seed(short, tmp_path / "out", seed=0)
    assert {arm: set(figures) for arm, figures in outcome.arms.items()} == {
        arm: set(FIGURES) for arm in (BEFORE, *ARMS)
    }
    assert outcome.arms["gossip"]["loss"] < outcome.arms[BEFORE]["loss"]
    last = json.loads((tmp_path / "out" / "gossip" / "metrics.jsonl").read_text().splitlines()[-1])
    assert outcome.arms["gossip"]["chrF"] == pytest.approx(last["test_chrf"])
