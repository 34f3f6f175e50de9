"""Two real nodes with folders of images of their own fine-tune a vision transformer under example-level privacy."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.forked import forked
from tests.learning.tiny_vit import tiny_vit
from tests.node.study import Study, make_study
from tests.sim.labeled import COLORS, colored
from transformers import AutoModelForImageClassification

from gossipfl.cli.app import main
from gossipfl.learning.quiet import quiet
from gossipfl.node.checking import Findings, check
from gossipfl.studies.fleet import Fleet

NAMES = ("ada", "bob")
SECTIONS: dict[str, Any] = {
    "task": {"kind": "image-classification", "labels": list(COLORS)},
    "adapter": {"kind": "lora", "rank": 4},
    "data": {"held_out": 0.25, "test": "common"},
    "training": {"phases": 3, "local_steps": 4, "batch_size": 12, "learning_rate": 0.05},
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run left behind."""

    study: Study
    found: Findings
    results: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of two."""
    folder = tmp_path_factory.mktemp("images") / "study"
    study = make_study(folder, tiny_vit(folder.parent / "vit", channels=3), names=NAMES, **SECTIONS)
    for seed, name in enumerate((*NAMES, "common")):
        colored(folder / name, seed=seed)
    study.edit("peers.yaml", lambda content: [node.update(data=node["name"]) for node in content["nodes"]])
    found = check(study.peers, name=None)
    with Fleet([study.job(name) for name in NAMES], launch=forked) as fleet:
        results = dict(fleet.results(timeout_s=90))
    return Finished(study, found, results)


Say = Callable[..., dict[str, Any]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """What a command says."""

    def run(*arguments: object) -> dict[str, Any]:
        assert main([*map(str, arguments), "--json"]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return result

    return run


@pytest.mark.slow
def test_both_train_within_their_budget_and_measure_themselves(finished: Finished) -> None:
    assert finished.found.problems == []
    assert finished.found.memory is not None
    for name, result in finished.results.items():
        assert (result["step"], result["rejected"]) == (12, {})
        assert 0 < result["epsilon"] <= 8.0
        assert 0 <= result["macro_f1"] <= 1
        assert 0 <= finished.study.rows(name)[-1]["test_macro_f1"] <= 1
    # the ledger lies beside the images, not among them
    assert not list((finished.study.folder / "ada").rglob("*.sqlite"))


@pytest.mark.slow
def test_what_a_node_has_is_evaluated_and_exported(finished: Finished, say: Say) -> None:
    study = finished.study
    common = say("evaluate", "--peers", study.peers, "--name", "ada", "--data", study.folder / "common")
    assert common["examples"] == 48
    assert set(common) == {"loss", "accuracy", "examples", "macro_f1"}
    say("export", "--state-dir", study.state("ada"), "--output", study.folder / "out", "--merge")
    with quiet():
        model = AutoModelForImageClassification.from_pretrained(study.folder / "out")
    assert tuple(model.config.id2label.values()) == COLORS
    assert (study.folder / "out" / "preprocessor_config.json").is_file()
