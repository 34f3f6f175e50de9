"""The audit as a whole, as a user runs it: processes, a model of its own, attacks, what stays when it is resumed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gossipfl.cli.app import main
from gossipfl.studies.fleet import Fleet

__all__ = ["Fleet"]  # this module starts processes: see conftest
pytest.importorskip("flwr")
pytestmark = pytest.mark.slow
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"]
BASE: dict[str, Any] = {
    "model": {"source": "pretrained"},
    "task": {"kind": "causal-lm", "max_length": 32},
    "adapter": {"kind": "full"},
    "data": {
        "source": "own.jsonl",
        "test": "test.jsonl",
        "held_out": 0.0,
        "canaries": {"node": "n0", "count": 5, "repeated_share": 0.4, "characters": 40},
    },
    "memorization": {
        "continuation": 6,
        "prompts": [6, 12],
        "pretrain": {
            "source": "public.jsonl",
            "vocabulary": 300,
            "layers": 1,
            "hidden": 32,
            "heads": 2,
            "steps": 20,
            "batch_size": 4,
        },
    },
    "training": {
        "phases": 3,
        "local_steps": 40,
        "batch_size": 8,
        "learning_rate": 0.01,
        "threads": 1,
        "device": "cpu",
    },
    "privacy": {"level": "none"},
    "topology": {"kind": "path"},
    "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6},
    "simulation": {"nodes": 3, "engine": "loop", "evaluate_every": 3},
    "compare": {"seeds": 1, "arms": {"alone": {"driver": "alone"}, "server": {"driver": "fedavg"}}},
}


def texts(path: Path, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = [{"text": " ".join(draw.choice(WORDS, 16))} for _ in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIPFL_CACHE", str(tmp_path / "cache"))
    for place, (name, count) in enumerate({"own": 24, "test": 4, "public": 80}.items()):
        texts(tmp_path / f"{name}.jsonl", count, place)
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(BASE))
    return tmp_path / "experiment.yaml"


def test_an_owner_alone_recites_what_nobody_else_knows_and_a_resumed_audit_does_nothing_twice(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = file.parent / "audit"
    assert main(["audit", "memorization", str(file), "--output", str(output), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])

    before, alone, server = result["arms"]
    assert [arm["name"] for arm in (before, alone, server)] == ["before training", "alone", "server"]
    assert result["passages"] == {"once": 3, "repeated": 2}
    owner, others = (alone[name]["repeated"]["bleu_worst"]["mean"] for name in ("owner", "others"))
    assert owner > 0
    assert others == 0
    assert before["owner"]["repeated"]["bleu_worst"]["mean"] == 0
    (first, *_) = (output / "runs" / "alone" / "seed-0" / "metrics.jsonl").read_text().splitlines()
    assert before["test_loss"] == pytest.approx(json.loads(first)["test_loss"])
    assert set(alone["distances"]) == {"0", "1", "2"}
    assert server["distances"] == {}
    run = output / "runs" / "alone" / "seed-0"
    attacked = (run / "attack.json").stat().st_mtime_ns
    assert not (run / "states").exists()
    assert Path(result["plot"]).stat().st_size > 1000

    # as if it had been stopped between a run and its attack
    (output / "runs" / "server" / "seed-0" / "attack.json").unlink()
    assert main(["audit", "memorization", str(file), "--output", str(output), "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert (run / "attack.json").stat().st_mtime_ns == attacked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.canaries=null", "data.canaries is missing"),
        ("data.canaries.node=n9", "data.canaries.node 'n9' is no node; they are n0 to n2"),
        ("task.max_length=8", "task.max_length: 8 tokens leave no prompt"),
        ("compare=null", "compare is missing"),
        (
            "compare.arms.server.set={task.max_length: 48}",
            "compare.arms.server.set: task.max_length is the same in all arms: they are asked for the same passages",
        ),
        (
            "compare.arms.server.set={data.canaries.copies: 5}",
            "compare.arms.server.set: data.canaries.copies is the same in all arms",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(
    file: Path, capsys: pytest.CaptureFixture[str], change: str, said: str
) -> None:
    assert main(["audit", "memorization", str(file), "--output", str(file.parent / "x"), "--set", change]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not (file.parent / "cache").exists()


def test_a_passage_too_short_in_a_later_seed_is_found_before_any_run(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = file.parent / "x"
    own = file.parent / "own.jsonl"
    words = [json.loads(line)["text"].split() for line in own.read_text().splitlines()]
    # with the seed of the file nobody draws the one text that has no room behind its prompt
    rows = [{"text": " ".join(line)} for line in words]
    rows[3] = {"text": "alpha beta gamma delta"}
    own.write_text("\n".join(map(json.dumps, rows)))
    sets = ("data.canaries.characters=10", "compare.seeds=6")

    arguments = [part for each in sets for part in ("--set", each)]
    assert main(["audit", "memorization", str(file), "--output", str(output), *arguments]) == 2
    assert "a passage comes to" in capsys.readouterr().err
    assert not output.exists()


def test_a_run_of_nodes_whose_states_are_gone_is_not_attacked_by_their_mean(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = file.parent / "audit"
    sets = ("compare.arms={alone: {driver: alone}}", "training.phases=1", "training.local_steps=1")
    arguments = ["audit", "memorization", str(file), "--output", str(output)]
    arguments += [part for each in sets for part in ("--set", each)]
    assert main(arguments) == 0
    capsys.readouterr()

    (output / "runs" / "alone" / "seed-0" / "attack.json").unlink()
    assert main([*arguments, "--resume"]) == 2
    assert "seed-0 has no last states of n0, n1, n2" in capsys.readouterr().err
