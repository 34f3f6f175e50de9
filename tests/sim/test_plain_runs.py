"""A model of one's own in plain torch goes the same way in the simulator, under Flower and at real nodes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_model
from tests.baseline.flower_runs import adapter_of, centralized, distance, gossiped
from tests.forked import forked
from tests.learning import own_models
from tests.node.study import make_study
from tests.sim.test_family_runs import run_of
from tests.sim.training import NOISE, Content

from gossipfl.cli.app import main
from gossipfl.node.checking import check
from gossipfl.studies.fleet import Fleet

OWN = "tests.learning.own_models:"


def plain(folder: Path, name: str, kind: str, **changes: Any) -> Content:
    content = run_of(folder, Path(), "causal-lm", **changes)
    return {**content, "model": {"source": OWN + name}, "adapter": {"kind": kind, "rank": 4}}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("lstm_lm", "full"), ("lstm_lm", "core"), ("private_lstm_lm", "full")])
def test_gossip_and_flower_train_the_same(name: str, kind: str, tmp_path: Path) -> None:
    privacy = NOISE if name == "private_lstm_lm" else {"level": "none"}
    content = plain(tmp_path, name, kind, privacy=privacy)
    one, other = gossiped(tmp_path, content), centralized(tmp_path, content)
    assert one.done
    assert abs(adapter_of(one)).max() > 0
    assert distance(one, other) < 1e-5
    summaries = [json.loads((run.output / "adapter.json").read_text()) for run in (one, other)]
    assert summaries[0] == summaries[1]
    assert summaries[0]["values"] == len(adapter_of(one))


@pytest.mark.slow
def test_two_real_nodes_train_meet_and_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    words: dict[str, Any] = {"kind": "causal-lm", "labels": []}
    study = make_study(
        tmp_path / "study",
        Path(),
        names=("ada", "bob"),
        task=words,
        adapter={"kind": "full"},
        privacy={"level": "none", "target_epsilon": None, "accountant": "prv"},
    )
    study.edit("experiment.yaml", lambda content: content["model"].update(source=OWN + "lstm_lm"))
    found = check(study.peers, name=None)
    assert found.problems == []
    assert str(found.adapter).startswith("adapter: full: ")
    assert f"memory: no estimate for a model of your own code, {OWN}lstm_lm" in found.notes
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        results = dict(fleet.results(timeout_s=60))
    assert all(result["rejected"] == {} and result["step"] == 8 for result in results.values())
    assert "adapter: full: " in (study.folder / "ada.log").read_text()
    assert json.loads((study.state("ada") / "adapter.json").read_text())["layers"] == []
    assert main(["export", "--state-dir", str(study.state("ada")), "--output", str(tmp_path / "out"), "--json"]) == 0
    module: Any = own_models.lstm_lm()[0]
    load_model(module, tmp_path / "out" / "model.safetensors")
    assert torch.equal(module.out.bias.detach(), torch.from_numpy(study.saved("ada").state.segment("out.bias").copy()))
    capsys.readouterr()
    said = ["generate", "--adapter", str(tmp_path / "out"), "--prompt", "w3 w4", "--max-new-tokens", "3", "--json"]
    assert main(said) == 2
    assert f"names code to run, {OWN}lstm_lm" in capsys.readouterr().err
    assert main([*said, "--code", f"{OWN}lstm_lm"]) == 0


def test_what_is_trained_is_said_and_written_before_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(json.dumps(plain(tmp_path, "lstm_lm", "lora", training__phases=1)))
    assert main(["simulate", str(path), "--output", str(tmp_path / "run"), "--json"]) == 0
    out, err = capsys.readouterr()
    line = f"adapter: lora of rank 4 on 1 layer (out): {4 * (24 + 64)} values"
    assert line in err.splitlines()
    assert json.loads(out.splitlines()[-1])["done"] is True
    assert json.loads((tmp_path / "run" / "adapter.json").read_text()) == {
        "kind": "lora",
        "rank": 4,
        "layers": ["out"],
        "endings": {"out": 1},
        "values": 352,
        "sent": 352,
    }
