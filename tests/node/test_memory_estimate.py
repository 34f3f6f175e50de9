"""What `gossipfl check` says of memory: before loading, and what to change."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.cli.app import main
from gossipfl.config.loading import load_peers
from gossipfl.errors import ModelError
from gossipfl.node import checking
from gossipfl.node.checking import Findings, check
from gossipfl.node.memory import Memory, memory_of, shortage

GB = 10**9


@pytest.fixture
def study(begin: Begin) -> Study:
    return begin(names=("ada", "bob", "cid"))


def test_a_check_tells_the_memory_of_a_node(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--peers", str(study.peers), "--name", "ada", "--json"]) == 0
    memory = json.loads(capsys.readouterr().out.splitlines()[-1])["memory"]
    assert memory["device"] == "cpu"
    parts = ("process", "weights", "adapter", "activations", "unit_gradients")
    assert memory["total"] == sum(memory[part] for part in parts)
    assert all(memory[part] > 0 for part in parts)
    assert memory["available"] <= memory["machine"]


def test_a_node_is_told_of_its_own_machine(study: Study) -> None:
    study.edit("peers.yaml", lambda content: content["nodes"][1].update(machine={"micro_batch": 1}))
    ada, bob = (check(study.peers, name=name).memory for name in ("ada", "bob"))
    assert ada is not None
    assert bob is not None
    assert bob.micro_batch == 1 < ada.micro_batch
    assert bob.by_rows < ada.by_rows


def test_a_device_that_is_not_there_is_a_problem(study: Study) -> None:
    study.edit("peers.yaml", lambda content: content["nodes"][1].update(machine={"device": "cuda:99"}))
    assert check(study.peers, name="ada").problems == []
    (problem,) = check(study.peers, name="bob").problems
    assert problem.startswith("the node's machine.device, or training.device: 'cuda:99' cannot be used here")


def test_too_little_memory_says_what_to_change(study: Study) -> None:
    loaded = load_peers(study.peers, ())
    experiment, folder = loaded.experiment.experiment, loaded.experiment.folder
    memory = memory_of(experiment, folder, neighbors=2)
    assert shortage(memory, experiment, folder, neighbors=2) == ""
    # half of what the rows take is free beside the rest
    scarce = replace(memory, available=memory.total - memory.process - memory.by_rows // 2)
    said = shortage(scarce, experiment, folder, neighbors=2)
    assert "training.micro_batch 32 would fit" in said
    assert "training.gradient_checkpointing true takes" in said
    assert "model.dtype bfloat16 takes" in said
    assert "task.max_length 4 takes" in said
    # not even one row
    assert "micro_batch" not in shortage(replace(memory, available=0), experiment, folder, neighbors=2)


def test_weights_beyond_the_machine_are_a_problem_and_are_not_loaded(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_peers(study.peers, ())
    experiment, folder = loaded.experiment.experiment, loaded.experiment.folder

    def small(*_: object, **__: object) -> Memory:
        return Memory("cpu", GB, 5 * GB, 0, GB, 0, 64, 2 * GB, 4 * GB)

    monkeypatch.setattr(checking, "memory_of", small)
    with pytest.raises(ModelError, match=r"weights 5\.00 GB.*3\.00 GB are free.*nothing was loaded"):
        checking._check_memory(Findings(), experiment, folder)
    findings = check(study.peers, name="ada")
    assert findings.values is None
    assert any("nothing was loaded" in problem for problem in findings.problems)


def test_quantization_without_a_gpu_is_a_problem_before_loading(study: Study, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    study.edit("experiment.yaml", lambda content: content["adapter"].update(kind="lora"))
    study.edit(
        "experiment.yaml",
        lambda content: content["model"].update(source=str(tmp_path / "nowhere"), quantization="nf4"),
    )
    (problem,) = check(study.peers, name="ada").problems
    assert "nf4 needs a CUDA GPU" in problem
