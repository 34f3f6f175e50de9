"""`gossipfl export --run`: what a simulated run, or one with a server, has left."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from safetensors.numpy import load_file, save_file
from tests.cli.test_export_command import write_model
from tests.sim.averaging import averaging
from tests.sim.training import NOISE, Content, changed, digits, sentences

from gossipfl.cli.app import main
from gossipfl.learning.card import rounded_up

Run = Callable[..., tuple[int, str, str]]
QUICK = {"training__phases": 1, "training__local_steps": 3, "simulation__nodes": 2}


def simulated(folder: Path, content: Content, *, command: str = "simulate") -> Path:
    """The run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.yaml").write_text(yaml.safe_dump(content))
    assert main([command, str(folder / "experiment.yaml"), "--output", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With noise, and every node's state; the graph leaves the two apart."""
    content = digits(**QUICK, privacy=NOISE, simulation__keep_states=True, gossip__settle_rounds=0)
    return simulated(tmp_path_factory.mktemp("private"), changed(content, {"simulation__links__latency_s": 1e9}))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def refused(found: tuple[int, str, str]) -> str:
    code, out, err = found
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    return line


def test_the_mean_and_each_nodes_state_are_exported_as_they_are(private: Path, tmp_path: Path, run: Run) -> None:
    weights = {}
    for name in ("mean", "n0", "n1"):
        chosen = [] if name == "mean" else ["--name", name]
        assert run("export", "--run", private, *chosen, "--output", tmp_path / name)[0] == 0
        weights[name] = load_file(tmp_path / name / "model.safetensors")
    assert any(not np.array_equal(weights["n0"][key], weights["n1"][key]) for key in weights["n0"])
    for key, mean in weights["mean"].items():
        np.testing.assert_allclose(mean, (weights["n0"][key] + weights["n1"][key]) / 2, atol=1e-6)


def test_the_card_says_that_it_was_simulated_and_that_seeded_noise_protects_nothing(
    private: Path, tmp_path: Path, run: Run
) -> None:
    assert run("export", "--run", private, "--name", "n1", "--output", tmp_path / "out")[0] == 0
    card = ModelCard.load(tmp_path / "out" / "README.md")
    epsilon = json.loads((private / "result.json").read_text())["epsilon"]
    for told in (
        "fine-tuned in a simulation",
        "Node n1's state at the end of a simulated run",
        "**None here: the noise of this run comes from a seed",
        f"would have paid ε ≤ {rounded_up(epsilon)} at δ ≤ 0.001",
        "| nodes | 2 |",
        "| optimizer steps of this node | 3 |",
        "loss on the common public test set",
    ):
        assert told in card.text
    assert "simulation" in card.data.tags
    assert "differential-privacy" not in card.data.tags


def test_a_model_beside_the_experiment_is_found_from_anywhere_and_the_export_talks(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "study" / "model")
    content = sentences(tmp_path / "study", Path("model"), "causal-lm", adapter__kind="lora", **QUICK)
    recorded = simulated(tmp_path / "study", content)
    monkeypatch.chdir(tmp_path)
    assert "gossipfl export --run" in refused(run("generate", "--adapter", recorded, "--prompt", "w3"))
    arguments = ("--adapter", recorded, "--data", tmp_path / "study/data.jsonl")
    assert "gossipfl export --run" in refused(run("evaluate", *arguments))
    assert run("export", "--run", recorded, "--output", "out")[0] == 0
    assert run("generate", "--adapter", "out", "--prompt", "w3 w4", "--max-new-tokens", 2)[0] == 0
    assert "may reveal records" in (tmp_path / "out" / "README.md").read_text()
    # the same layers, other weights
    weights = tmp_path / "study" / "model" / "model.safetensors"
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights, metadata={"format": "pt"})
    said = refused(run("export", "--run", recorded, "--output", "out"))
    assert "the state was trained with another model than is here now" in said


def test_what_cannot_be_exported_says_what_to_do(private: Path, tmp_path: Path, run: Run) -> None:
    without = simulated(tmp_path / "without", digits(**QUICK))
    gossip = simulated(tmp_path / "gossip", averaging(gossip__settle_rounds=2, simulation__nodes=4))
    output = ("--output", tmp_path / "out")
    for arguments, said in (
        (("--run", without, "--name", "n0"), "--set simulation.keep_states=true"),
        (("--run", private, "--name", "n7"), "'n7' is no node of"),
        (("--run", gossip), "trained nothing, or is not done yet"),
        (("--run", tmp_path), "is no folder of a recorded run"),
        (("--run", private, "--personal"), "--run goes with"),
        (("--state-dir", private), f"it is a recorded run, which --run {private} exports"),
        (("--name", "n0"), "needs --state-dir"),
    ):
        assert said in refused(run("export", *arguments, *output))


@pytest.mark.slow
def test_what_a_server_had_is_exported_and_its_card_names_the_server(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("flwr", reason="the extra `flower` is not installed")
    recorded = simulated(tmp_path, digits(**QUICK), command="fedavg")
    assert "all nodes of" in refused(run("export", "--run", recorded, "--name", "n0", "--output", tmp_path / "out"))
    assert run("export", "--run", recorded, "--output", tmp_path / "out")[0] == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| mixing | Flower's FedAvg at a server |" in card
    assert "| topology |" not in card
    assert "fine-tuned in a trial with a server" in card
