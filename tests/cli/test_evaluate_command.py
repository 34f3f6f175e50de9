"""`gossipfl evaluate` on any dataset file, of a node and of what was exported from it."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from gossipfl.cli.app import main
from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.loading import dump_experiment
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.core.messages import Receipt
from gossipfl.core.snapshot import Snapshot
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.export import export
from gossipfl.learning.models import load_base
from gossipfl.node.checkpoint import Saved, save_checkpoint
from gossipfl.state import AdapterState

WORDS = ("<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(30)))
ROWS = [
    {"text": f"w{number} w{number % 7} w{number % 5}", "label": ("red", "green")[number % 2]} for number in range(9)
]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that has trained, peers.yaml, and two exports of it."""
    folder = tmp_path_factory.mktemp("evaluate")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        BertModel(BertConfig(vocab_size=40, max_position_embeddings=16, **sizes)).save_pretrained(folder / "model")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[2]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=WORDS[1], unk_token=WORDS[2])
    fast.save_pretrained(folder / "model")
    experiment = Experiment(
        model=ModelConfig(source=str(folder / "model")),
        task=TaskConfig(kind="sequence-classification", labels=("red", "green"), max_length=16),
        adapter=AdapterConfig(rank=2),
        privacy=PrivacyConfig(level="none"),
    )
    adapted, state = moved(experiment)
    state_dir = folder / "state" / "oslo"
    state_dir.mkdir(parents=True)
    snapshot = Snapshot(state=state, unmixed=state, receipt=Receipt(0, 0, "", float("inf"), 0.0))
    save_checkpoint(state_dir, Saved(snapshot, {}))
    (folder / "experiment.yaml").write_text(dump_experiment(experiment))
    nodes = [{"name": name, "data": f"{name}.csv"} for name in ("oslo", "turin")]
    (folder / "peers.yaml").write_text(json.dumps({"experiment": "experiment.yaml", "nodes": nodes}))
    export(adapted, state, folder / "adapter")
    export(adapted, state, folder / "merged", merge=True)
    return folder


def moved(experiment: Experiment) -> tuple[Adapted, AdapterState]:
    adapted = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    return adapted, AdapterState(adapted.spec, adapted.initial.vector + noise)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["evaluate", *map(str, arguments), "--json"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def figures(run: Run, *arguments: object) -> dict[str, Any]:
    code, out, err = run(*arguments)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def write(rows: list[dict[str, str]], folder: Path, kind: str) -> Path:
    """The same records in one of the formats."""
    path, table = folder / f"data.{kind}", datasets.Dataset.from_list(rows)
    match kind:
        case "csv" | "tsv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]), delimiter="," if kind == "csv" else "\t")
                writer.writeheader()
                writer.writerows(rows)
        case "json":
            path.write_text(json.dumps(rows))
        case "jsonl" | "odd":
            path.write_text("\n".join(map(json.dumps, rows)))
        case "parquet":
            table.to_parquet(path)
        case "folder":
            table.save_to_disk(path)
        case "splits":
            datasets.DatasetDict({"test": table.select([0]), "validation": table}).save_to_disk(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet", "folder", "splits", "odd"])
def test_every_format_gives_the_same_figures_for_node_and_export(
    kind: str, home: Path, tmp_path: Path, run: Run
) -> None:
    path = write(ROWS, tmp_path, kind)
    more = {"splits": ("--split", "validation"), "odd": ("--set", "data.format=jsonl")}.get(kind, ())
    node = figures(run, "--peers", home / "peers.yaml", "--name", "oslo", "--data", path, *more)
    exported = figures(run, "--adapter", home / "adapter", "--data", path, *more)
    assert node["examples"] == len(ROWS)
    assert exported == pytest.approx(node, abs=1e-5)
    if kind == "csv":
        assert figures(run, "--adapter", home / "merged", "--data", path) == pytest.approx(node, abs=1e-5)


def test_columns_are_named_or_those_of_the_training(home: Path, tmp_path: Path, run: Run) -> None:
    rows = [{"body": row["text"], "class": row["label"], "text": "w1", "label": "red"} for row in ROWS]
    path = write(rows, tmp_path, "jsonl")
    expected = figures(run, "--adapter", home / "adapter", "--data", write(ROWS, tmp_path, "csv"))
    named = ("--data", path, "--set", "data.text=body", "--set", "data.label=class")
    assert figures(run, "--adapter", home / "adapter", *named) == expected
    assert figures(run, "--adapter", home / "adapter", "--data", path) != expected
    columns = DataConfig(text="body", label="class")
    old = json.loads((home / "adapter" / "gossipfl.json").read_text())
    experiment = Experiment(
        model=ModelConfig.model_validate(old["model"]),
        task=TaskConfig.model_validate(old["task"]),
        adapter=AdapterConfig(rank=2),
        data=columns,
        privacy=PrivacyConfig(level="none"),
    )
    export(*moved(experiment), tmp_path / "out")
    assert figures(run, "--adapter", tmp_path / "out", "--data", path) == expected


def test_plain_text_is_judged_line_by_line_without_blank_ones(tmp_path: Path, home: Path, run: Run) -> None:
    (tmp_path / "data.txt").write_text("w1 w2\n\nw3\n\n")
    code, _, err = run("--adapter", home / "adapter", "--data", tmp_path / "data.txt")
    assert code == 2
    assert "data.label: data" in err
    assert "has no column 'label'; it has 'text'" in err


def test_records_that_are_cut_are_told_on_stderr(home: Path, tmp_path: Path, run: Run) -> None:
    path = write([*ROWS, {"text": "w3 " * 17, "label": "red"}], tmp_path, "csv")
    for arguments in (("--adapter", home / "adapter"), ("--peers", home / "peers.yaml", "--name", "oslo")):
        code, out, err = run(*arguments, "--data", path)
        assert code == 0
        assert err == "1 of 10 records are longer than task.max_length 16, or than the model, and were cut\n"
        assert json.loads(out)["examples"] == 10


def test_an_exported_builtin_model_is_judged_too(tmp_path: Path, run: Run) -> None:
    experiment = Experiment(
        model=ModelConfig(source="builtin:mlp", inputs=3, hidden=(4,)),
        task=TaskConfig(kind="vector-classification", labels=("red", "green")),
        adapter=AdapterConfig(kind="full"),
        privacy=PrivacyConfig(level="none"),
    )
    adapted, state = moved(experiment)
    export(adapted, state, tmp_path / "out")
    rows = [{"features": [place / 9, 1.0, -place], "label": row["label"]} for place, row in enumerate(ROWS)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = figures(run, "--adapter", tmp_path / "out", "--data", tmp_path / "data.jsonl")
    with torch.no_grad():
        said = adapted.module(torch.tensor([row["features"] for row in rows])).argmax(1)
    right = [adapted.labels[place] == row["label"] for place, row in zip(said.tolist(), rows, strict=True)]
    assert found["accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,label\nw1,red\n", (), "data.text: data '.*' has no column 'text'; it has 'a', 'label'"),
        ("text,label\nw1,blue\n", (), "has the label 'blue', which task.labels does not name"),
        ("text,label\nw1,\n", (), "record 1 of data .* has nothing in column 'label'"),
        ("text,label\n ,red\n", (), "record 1 of data .* has nothing in column 'text'"),
        ("text,label\n", (), "holds no records"),
        ("", (), "is empty"),
        (None, (), "does not exist"),
        ("text,label\nw1,red\n", ("--set", "data.txt=body"), "txt"),
        ("text,label\nw1,red\n", ("--set", "task.labels=[a, b]"), "an export has its own model and task"),
        ("text,label\nw1,red\n", ("--set", "task.max_length=17"), "beyond the model, which takes 16"),
        ("text,label\nw1,red\n", ("--name", "oslo"), "--adapter goes with --data, and no --peers"),
    ],
)
def test_mistakes_are_one_line(
    content: str | None, options: tuple[str, ...], message: str, home: Path, tmp_path: Path, run: Run
) -> None:
    if content is not None:
        (tmp_path / "data.csv").write_text(content)
    code, out, err = run("--adapter", home / "adapter", "--data", tmp_path / "data.csv", *options)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(message, err)


def test_what_is_missing_is_named(home: Path, tmp_path: Path, run: Run) -> None:
    several = write(ROWS, tmp_path, "splits")
    for arguments, message in [
        ((), "needs --peers and --name for a node's adapter, or --adapter and --data"),
        (("--peers", home / "peers.yaml"), "needs --peers and --name"),
        (("--adapter", home / "adapter"), "--adapter goes with --data"),
        (("--adapter", tmp_path, "--data", tmp_path), "is no folder that gossipfl export wrote"),
        (("--adapter", home / "adapter", "--data", several, "--split", "dev"), "has no split 'dev'"),
    ]:
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert message in err
