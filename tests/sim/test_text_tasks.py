"""Responses and questions in whole runs: simulated nodes, the Flower baseline and real nodes learn the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.baseline.flower_runs import COMPLETE, centralized, gossiped, lines_of
from tests.forked import forked
from tests.node.study import Study, make_study
from tests.sim.training import PRIVACY, Content, changed, digits, play, with_engine

from gossipfl.cli.app import main
from gossipfl.runs.adapter_file import NAME
from gossipfl.studies.fleet import Fleet

Models = Mapping[str, Path]
MODEL = {"seq2seq-lm": "t5", "multiple-choice": "llama"}
LORA = {"kind": "lora", "rank": 4, "targets": ["q", "v"]}
COLUMNS = {"seq2seq-lm": {"prompt": "prompt", "response": "response"}, "multiple-choice": {}}


def write_records(file: Path, seed: int, count: int = 60) -> None:
    """The response is decided by the prompt's first word, and is one of the choices."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        words = rng.integers(0, 20, 4)
        answers = [f"w{30 + place} w{40 + place}" for place in range(3)]
        right = int(words[0]) % 3
        asked = " ".join(f"w{word}" for word in words)
        rows.append(
            {"prompt": asked, "response": answers[right], "question": asked, "choices": answers, "answer": right}
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def content(folder: Path, models: Models, task: str, **changes: object) -> Content:
    """Two nodes that average after every phase."""
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "data.jsonl", 3)
    targets = ["q", "v"] if task == "seq2seq-lm" else ["q_proj", "v_proj", "o_proj"]
    metrics = {"metrics": ["exact_match", "chrf"], "max_new_tokens": 4} if task == "seq2seq-lm" else {}
    settings = {
        "model": {"source": str(models[MODEL[task]])},
        "task": {"kind": task, "max_length": 12, **metrics},
        "adapter": {**LORA, "targets": targets},
        "data": {"source": "data.jsonl", "test_share": 0.3, **COLUMNS[task]},
        "training__phases": 3,
        "training__learning_rate": 0.02,
        "simulation__nodes": 2,
        **COMPLETE,
    }
    return changed(digits(), {**settings, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("task", list(MODEL))
def test_gossip_learns_with_every_exchange_what_flower_learns(task: str, tmp_path: Path, tiny_folders: Models) -> None:
    wanted = content(tmp_path, tiny_folders, task)
    gossip, flower = gossiped(tmp_path, wanted), centralized(tmp_path, wanted)
    lines = lines_of(gossip)
    assert lines[-1]["test_loss"] < 0.9 * lines[0]["test_loss"]
    assert lines[-1]["consensus_distance"] < 1e-6
    # an exact mean after every phase is FedAvg
    one, other = (load_file(result.output / NAME)["vector"] for result in (gossip, flower))
    np.testing.assert_allclose(one, other, atol=1e-5)
    for run in (lines, lines_of(flower)):
        if task == "multiple-choice":
            assert run[-1]["test_accuracy"] > run[0]["test_accuracy"]
            assert "test_token_accuracy" not in run[-1]
        else:
            # a text for every row is worth it at the end alone
            keys = [{key for key in line if key.endswith(("exact_match", "chrf"))} for line in run]
            assert keys[:-1] == [set()] * (len(run) - 1)
            assert keys[-1] == {f"{part}_{name}" for part in ("own", "test") for name in ("exact_match", "chrf")}
            assert run[-1]["test_token_accuracy"] > run[0]["test_token_accuracy"]
    if task == "seq2seq-lm":
        assert gossip.final["mean_chrf"] == pytest.approx(flower.final["mean_chrf"])


@pytest.mark.slow
@pytest.mark.parametrize("task", list(MODEL))
@pytest.mark.parametrize("level", ["none", "example"])
def test_batched_is_the_loop(task: str, level: str, tmp_path: Path, tiny_folders: Models) -> None:
    wanted = content(tmp_path, tiny_folders, task, privacy=PRIVACY[level], training__phases=2)
    looped, batched = (play(tmp_path, with_engine(wanted, engine)).vectors for engine in ("loop", "batched"))
    np.testing.assert_allclose(batched, looped, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", list(MODEL))
def test_real_nodes_train_exchange_are_evaluated_and_exported(
    task: str, tmp_path: Path, tiny_folders: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    written = content(tmp_path / "content", tiny_folders, task)
    sections = {name: written[name] for name in ("task", "adapter")}
    study: Study = make_study(
        tmp_path / "study",
        tiny_folders[MODEL[task]],
        names=("ada", "bob"),
        data={**COLUMNS[task], "held_out": 0.2},
        privacy={"level": "example", "target_epsilon": 8.0, "accountant": "rdp"},
        **cast("dict[str, Any]", {**sections, "task": {**written["task"], "labels": []}}),
    )
    for place, name in enumerate(study.names):
        write_records(study.folder / "data" / f"{name}.jsonl", 5 + place)
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        results = fleet.results(timeout_s=90)
    assert {result["step"] for result in results.values()} == {8}
    assert all(0 < result["epsilon"] <= 8 and result["bytes_received"] > 0 for result in results.values())
    arguments = ["--peers", str(study.peers), "--name", "ada", "--json"]
    assert main(["evaluate", *arguments]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    measured = {"exact_match", "chrf", "token_accuracy", "perplexity"} if task == "seq2seq-lm" else {"accuracy"}
    assert measured <= set(found)
    assert main(["export", "--state-dir", str(study.state("ada")), "--output", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads((tmp_path / "out" / "gossipfl.json").read_text())["prompted"]
    exported = json.loads(capsys.readouterr().out.splitlines()[-1])
    told = [
        "generate",
        "--adapter",
        str(tmp_path / "out"),
        "--prompt",
        "w3 w4 w5 w6",
        "--max-new-tokens",
        "4",
        "--json",
    ]
    assert main(told) == 0
    generated = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert generated["adapter_sha256"] == exported["adapter_sha256"]
    assert isinstance(generated["text"], str)
