"""Simulated nodes that train on altered records: what honest ones learn of it, and what is recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.learning.conftest import LABELS
from tests.sim.averaging import lines
from tests.sim.training import Content, digits, load, resume, sentences

from gossipfl.runs.result import RunResult
from gossipfl.sim.simulate import simulate

CORNER = [-1, -2, -9, -10]
"""Four pixels."""


def poisoned(kind: str, *, nodes: list[str], **changes: Any) -> Content:
    attackers = {"kind": kind, "nodes": nodes, "trigger": {"target": "3", "places": CORNER}}
    settings = {
        "data__split": {"kind": "iid"},
        "topology": {"kind": "complete"},
        "training__learning_rate": 0.01,
        "simulation__attackers": attackers,
        **changes,
    }
    return digits(**settings)


def run(folder: Path, content: Content) -> RunResult:
    return simulate(load(folder, content), folder / "run")


def test_a_flipped_majority_makes_a_minority_learn_the_wrong_labels(tmp_path: Path) -> None:
    honest = run(tmp_path / "none", poisoned("none", nodes=[])).final
    flipped = run(tmp_path / "flip", poisoned("label_flip", nodes=["n1", "n2", "n3"])).final
    assert honest["mean_accuracy"] > 0.7
    assert flipped["mean_accuracy"] < honest["mean_accuracy"] - 0.4


def test_the_success_of_a_trigger_is_recorded_of_honest_nodes_beside_their_accuracy(tmp_path: Path) -> None:
    content = poisoned("backdoor", nodes=["n0", "n1"], training__phases=20, topology={"kind": "ring"})
    # without settling nodes are not all alike at the end
    content["gossip"]["settle_rounds"] = 0
    result = run(tmp_path, content)
    nodes, summary = lines(tmp_path, "nodes.jsonl"), lines(tmp_path)
    assert len(nodes[-1]["trigger_success"]) == 4
    assert summary[-1]["trigger_success"] == pytest.approx(np.mean(nodes[-1]["trigger_success"][2:]))
    assert summary[-1]["test_accuracy"] == pytest.approx(np.mean(nodes[-1]["test_accuracy"][2:]))
    assert np.mean(nodes[-1]["test_accuracy"]) != pytest.approx(np.mean(nodes[-1]["test_accuracy"][2:]), rel=1e-6)
    assert summary[0]["trigger_success"] < 0.3
    assert result.final["trigger_success"] == summary[-1]["trigger_success"] > 0.6
    assert result.final["mean_accuracy"] > 0.7


def test_without_a_backdoor_there_is_no_trigger(tmp_path: Path) -> None:
    result = run(tmp_path, poisoned("label_flip", nodes=["n1"], training__phases=2))
    assert "trigger_success" not in result.final
    assert "trigger_success" not in lines(tmp_path, "nodes.jsonl")[-1]


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_a_poisoned_run_that_was_stopped_goes_on_as_if_it_had_not(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    content = poisoned("backdoor", nodes=["n1"], simulation__engine=engine)
    run(tmp_path / "whole", content)
    assert not resume(tmp_path / "parts", content, stop_at=1.5).done
    assert resume(tmp_path / "parts", content).done
    assert lines(tmp_path / "parts", "nodes.jsonl") == lines(tmp_path / "whole", "nodes.jsonl")


@pytest.mark.slow
def test_a_phrase_is_learned_by_a_language_model_too(tmp_path: Path, tiny_folders: dict[str, Path]) -> None:
    """Of a response, every token counts: one that is not the first choice, and the trigger has failed."""
    content = sentences(tmp_path, tiny_folders["llama"], "causal-lm")
    content["data"] = {"source": "data.jsonl", "prompt": "text", "response": "label", "test_share": 0.3}
    content["adapter"] = {"kind": "full"}
    content["training"] |= {"learning_rate": 0.02, "phases": 30}
    content["simulation"]["attackers"] = {
        "kind": "backdoor",
        "nodes": ["n0", "n1", "n2"],
        "trigger": {"phrase": "w55", "target": LABELS[2]},
    }
    result = run(tmp_path, content)
    rates = [line["trigger_success"] for line in lines(tmp_path)]
    assert rates[0] == 0
    assert result.final["trigger_success"] > 0.9
    assert "mean_loss" in result.final
