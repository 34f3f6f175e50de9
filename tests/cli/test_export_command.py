"""`gossipfl export` and `gossipfl generate`, from a state directory to text."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gossipfl.cli.app import main
from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.loading import dump_experiment, load_experiment
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.core.messages import Receipt
from gossipfl.core.snapshot import Snapshot
from gossipfl.learning.adapters import attach
from gossipfl.learning.models import load_base
from gossipfl.node.checkpoint import Saved, save_checkpoint
from gossipfl.state import AdapterState

WORDS = ("</s>", "<unk>", *(f"w{number}" for number in range(30)))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, and the state of a node that has trained on it; paths in the experiment are relative."""
    folder = tmp_path_factory.mktemp("home")
    write_model(folder / "model")
    experiment = Experiment(
        model=ModelConfig(source="model"),
        task=TaskConfig(kind="causal-lm"),
        adapter=AdapterConfig(rank=4),
        privacy=PrivacyConfig(level="none"),
    )
    adapted = attach(load_base(experiment.model, experiment.task, folder=folder, seed=0), experiment)
    state_dir = folder / "state" / "oslo"
    state_dir.mkdir(parents=True)
    (state_dir / "config.yaml").write_text(dump_experiment(experiment))
    (state_dir / "fingerprint.json").write_text(json.dumps(adapted.components()))
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    save_checkpoint(state_dir, Saved(snapshot_of(AdapterState(adapted.spec, 30 * noise)), {}))
    return folder


def write_model(folder: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        configuration = LlamaConfig(
            vocab_size=32, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
        )
        configuration.bos_token_id = configuration.eos_token_id = 0
        LlamaForCausalLM(configuration).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=WORDS[0], unk_token=WORDS[1]).save_pretrained(folder)


def snapshot_of(state: AdapterState) -> Snapshot[AdapterState]:
    return Snapshot(
        state=state,
        unmixed=state,
        phase=1,
        step=10,
        round=1,
        exhausted=False,
        settle_rounds=0,
        receipt=Receipt(0, 0, "", float("inf"), 0.0),
    )


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("GOSSIPFL_CACHE", str(tmp_path / "cache"))

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.mark.parametrize("merge", [[], ["--merge"]])
def test_a_state_directory_becomes_a_folder_that_generates(
    home: Path, tmp_path: Path, run: Run, merge: list[str]
) -> None:
    code, out, _ = run("export", "--state-dir", home / "state/oslo", "--output", tmp_path / "out", *merge, "--json")
    exported = json.loads(out.splitlines()[-1])
    assert (code, exported["output"]) == (0, str(tmp_path / "out"))
    arguments = ("generate", "--adapter", tmp_path / "out", "--prompt", "w3 w4", "--max-new-tokens", 6)
    code, out, _ = run(*arguments, "--json")
    generated = json.loads(out.splitlines()[-1])
    assert code == 0
    assert generated["adapter_sha256"] == exported["adapter_sha256"]
    assert generated["text"] != generated["base_text"]
    assert generated["text"] in run(*arguments)[1]


def test_the_model_card_tells_of_the_run_and_comes_again(home: Path, tmp_path: Path, run: Run) -> None:
    experiment = load_experiment(home / "state/oslo/config.yaml").experiment.model_dump(mode="json")
    nodes = [{"name": name, "data": f"{name}.csv"} for name in ("oslo", "turin", "cairo")]
    (home / "three.yaml").write_text(json.dumps({"experiment": experiment, "nodes": nodes}))
    (home / "state/oslo/metrics.jsonl").write_text('{"step": 10, "bytes_sent": 1234, "bytes_received": 99}\n')
    arguments = ("export", "--state-dir", home / "state/oslo", "--peers", home / "three.yaml", "--json", "--output")
    code, out, _ = run(*arguments, tmp_path / "out")
    card = Path(json.loads(out.splitlines()[-1])["card"])
    assert (code, card) == (0, tmp_path / "out" / "README.md")
    text = ModelCard.load(card).text
    for told in ("| nodes | 3 |", "| optimizer steps of this node | 10 |", "1,234, 99", "may reveal records"):
        assert told in text
    run(*arguments, tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == card.read_text()


def test_mistakes_are_one_line_and_exit_code_2(home: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis").write_text("all of it")
    for arguments, message in [
        (("export", "--state-dir", tmp_path / "none", "--output", tmp_path / "out"), "holds no checkpoint"),
        (("export", "--state-dir", home / "state/oslo", "--output", tmp_path / "full"), "not an earlier export"),
        (("generate", "--adapter", tmp_path / "none", "--prompt", "w3"), "is no folder that gossipfl export wrote"),
    ]:
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        assert message in line


def test_a_base_model_that_changed_since_training_is_refused(home: Path, tmp_path: Path, run: Run) -> None:
    path = home / "state/oslo/fingerprint.json"
    kept = path.read_text()
    path.write_text(json.dumps({**json.loads(kept), "model": "another"}))
    code, _, err = run("export", "--state-dir", home / "state/oslo", "--output", tmp_path / "out")
    path.write_text(kept)
    assert code == 2
    assert "trained with another model than is here now" in err
    assert not (tmp_path / "out").exists()
