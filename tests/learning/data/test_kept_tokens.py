"""`data.tokens: mapped`: the same batches as from memory, kept for the next start, never stale, never torn."""

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data import (
    DataSite,
    NodeData,
    kept_tokens,
    load_fleet_records,
    load_node_data,
    load_node_records,
    mapped,
    stored_records,
)
from gossipfl.learning.data.examples import Examples
from gossipfl.learning.data.mapped import MappedArray
from gossipfl.learning.data.token_folder import prepare_folder

WORDS = ("<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(61)))
SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
ROWS = 29
TASKS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "causal-lm": ({}, {}),
    "causal-lm with prompts": ({}, {"prompt": "prompt", "response": "text"}),
    "sequence-classification": ({"labels": ["a", "b"]}, {}),
    "seq2seq-lm": ({}, {"prompt": "prompt", "response": "text"}),
    "multiple-choice": ({}, {"question": "prompt"}),
    "token-classification": ({"labels": ["a", "b"]}, {}),
}
Make = Callable[..., Experiment]


def tokenizer_of(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    own = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=WORDS[2]))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=own, **SPECIAL)


TOKENIZER = tokenizer_of()


def write(path: Path, *, changed: range = range(0)) -> None:
    """Records of persons that lie scattered, of all tasks' columns."""
    draw = np.random.default_rng(3)
    lines = []
    for row in range(ROWS):
        words = [f"w{word}" for word in draw.integers(0, 61, draw.integers(1, 14))]
        words = ["w5", f"w{row}"] if row in changed else words
        lines.append(
            {
                "text": " ".join(words),
                "prompt": f"w{row} w1 w2",
                "label": "ab"[row % 2],
                "words": words,
                "tags": ["ab"[place % 2] for place in range(len(words))],
                "choices": [f"w{choice} w7" for choice in range(2 + row % 3)],
                "answer": row % 2,
                "person": f"p{row % 17}",
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def experiment_of(name: str = "causal-lm", tokens: str = "mapped", **more: Any) -> Experiment:
    settings, columns = TASKS[name]
    data = {
        "unit": "person",
        "max_per_unit": 2,
        "held_out": 0.3,
        "test": "test.jsonl",
        **columns,
        **more.pop("data", {}),
    }
    given = {
        "model": {"source": "tiny"},
        "task": {"kind": name.split(maxsplit=1)[0], "max_length": 9, **settings, **more.pop("task", {})},
        "data": {**data, "tokens": tokens},
        "privacy": {"level": "none"},
        **more,
    }
    return Experiment.model_validate(given)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records and a test set; blocks, and chunks of what is kept, are small: rows come from several of them."""
    write(tmp_path / "own.jsonl")
    write(tmp_path / "test.jsonl", changed=range(1))
    monkeypatch.setattr(mapped, "LEAST_VALUES", 20)
    monkeypatch.setattr(kept_tokens, "RECORDS_AT_ONCE", 5)
    monkeypatch.setattr(stored_records, "AT_ONCE", 8)
    return tmp_path


def site(folder: Path, tokens: Path | None = None) -> DataSite:
    return DataSite("a", ("a",), "own.jsonl", folder, folder, tokens=tokens)


def load(folder: Path, experiment: Experiment, tokens: Path | None = None, **more: Any) -> NodeData:
    return load_node_data(experiment, site(folder, tokens), more.get("tokenizer", TOKENIZER))


def batches(examples: Examples) -> Iterator[dict[str, Any]]:
    units = np.random.default_rng(0).permutation(examples.units)
    some = examples.only(units[::2])
    for rows in (
        *examples.load(units, 4),
        *examples.rows_in_order(3),
        *some.rows_in_order(3),
        examples.together(units),
    ):
        yield {"unit": rows.unit, **rows.tensors}


def assert_equal(one: NodeData, other: NodeData) -> None:
    assert one.tags == other.tags
    assert one.left_out == other.left_out
    assert one.test is not None
    assert other.test is not None
    for ours, theirs in ((one.train, other.train), (one.held_out, other.held_out), (one.test, other.test)):
        assert ours.cut == theirs.cut
        assert ours.units > 3
        for found, wanted in zip(batches(ours), batches(theirs), strict=True):
            assert found.keys() == wanted.keys()
            for name, tensor in wanted.items():
                assert found[name].dtype == tensor.dtype
                assert found[name].equal(tensor), name


def kept(folder: Path) -> dict[str, int]:
    """Inode of every folder of tokens: another one was written anew."""
    return {str(path.relative_to(folder)): path.stat().st_ino for path in folder.rglob("*-*") if path.is_dir()}


@pytest.mark.parametrize("task", TASKS)
def test_what_is_mapped_is_bit_for_bit_what_lies_in_memory(folder: Path, task: str) -> None:
    wanted = load(folder, experiment_of(task, "memory"))
    first, again = (load(folder, experiment_of(task), folder / "tokens") for _ in range(2))
    for found in (first, again):
        assert_equal(found, wanted)
    many = [values for values in vars_of(first.train.content) if isinstance(values, MappedArray)]
    assert many
    assert len(many[0].chunks) > 1


def vars_of(content: Any) -> Iterator[Any]:
    for name in content.__slots__:
        value = getattr(content, name)
        yield value
        if hasattr(value, "loss_from"):
            yield value.ids


def test_tokens_that_goldfish_leaves_out_are_the_same_ones(folder: Path) -> None:
    training = {"loss": "goldfish", "goldfish": {"k": 2, "h": 2}}
    wanted, found = (
        load(folder, experiment_of(tokens=tokens, training=training), folder / "tokens")
        for tokens in ("memory", "mapped")
    )
    assert_equal(found, wanted)
    assert getattr(found.train.content, "left_out", None) is not None


def test_the_next_start_takes_what_is_there_and_writes_nothing(folder: Path) -> None:
    load(folder, experiment_of(), folder / "tokens")
    before = kept(folder / "tokens")
    assert sorted(name.split("-")[0] for name in before) == ["nodes/a/held_out", "nodes/a/train", "test"]
    load(folder, experiment_of(), folder / "tokens")
    assert kept(folder / "tokens") == before


def rewritten(path: Path) -> dict[str, Any]:
    write(path, changed=range(9))
    return {}


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: rewritten(folder / "own.jsonl"),
        lambda _: {"experiment": experiment_of(task={"max_length": 8})},
        lambda _: {"tokenizer": tokenizer_of((*WORDS[:10], WORDS[11], WORDS[10], *WORDS[12:]))},
        lambda _: {"experiment": experiment_of(data={"prompt": "prompt", "response": "text"})},
        lambda _: {"experiment": experiment_of(training={"loss": "goldfish"})},
        lambda _: {"experiment": experiment_of(data={"max_per_unit": 1})},
    ],
)
def test_what_may_be_stale_is_made_anew_and_the_old_is_removed(folder: Path, change: Callable[[Path], Any]) -> None:
    load(folder, experiment_of(), folder / "tokens")
    before = kept(folder / "tokens")
    changed = {"experiment": experiment_of(), **change(folder)}
    found = load(folder, **changed, tokens=folder / "tokens")
    after = kept(folder / "tokens")
    assert len(after) == len(before)
    assert {name for name in after if "train" in name}.isdisjoint(before)
    data = changed["experiment"].data.model_copy(update={"tokens": "memory"})
    changed["experiment"] = changed["experiment"].model_copy(update={"data": data})
    assert_equal(found, load(folder, **changed))


def test_a_chat_template_that_asks_for_the_date_and_an_unknown_tokenizer_are_never_taken_again(folder: Path) -> None:
    class Own(PreTrainedTokenizerFast):  # type: ignore[misc]  # transformers has no types
        pass

    dated = tokenizer_of()
    dated.chat_template = "{{ strftime_now('%d') }}{{ messages[0]['content'] }}"
    own = Own(tokenizer_object=TOKENIZER.backend_tokenizer, **SPECIAL)
    for tokenizer in (dated, own):
        load(folder, experiment_of(), folder / "tokens", tokenizer=tokenizer)
        before = kept(folder / "tokens")
        load(folder, experiment_of(), folder / "tokens", tokenizer=tokenizer)
        assert set(kept(folder / "tokens")).isdisjoint(before)
        assert len(kept(folder / "tokens")) == len(before)


@pytest.mark.parametrize("harm", ["cut", "a chunk less", "gone", "sizes"])
def test_a_damaged_file_is_noticed_and_made_anew(folder: Path, harm: str) -> None:
    load(folder, experiment_of(), folder / "tokens")
    (train,) = (folder / "tokens" / "nodes" / "a").glob("train-*")
    ids = train / "tokens-ids.arrow"
    match harm:
        case "cut":
            os.truncate(ids, ids.stat().st_size // 2)
        case "a chunk less":
            with pa.ipc.open_stream(ids.read_bytes()) as stream:
                chunks = list(stream)
            with ids.open("wb") as file, pa.ipc.new_stream(file, chunks[0].schema) as stream:
                for chunk in chunks[:-1]:
                    stream.write(chunk)
        case "gone":
            ids.unlink()
        case _:
            (train / "sizes.json").write_text("{")
    assert_equal(load(folder, experiment_of(), folder / "tokens"), load(folder, experiment_of(tokens="memory")))


def test_what_a_kill_leaves_is_never_taken_and_goes_at_the_next_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal, left = kept_tokens._write_sizes, folder / "left"

    def killed(part: Path) -> None:
        """All arrays are written, and nothing says yet that they are whole."""
        if "nodes" in part.parts:
            shutil.copytree(folder / "tokens", left, dirs_exist_ok=True)
        seal(part)

    monkeypatch.setattr(kept_tokens, "_write_sizes", killed)
    load(folder, experiment_of(), folder / "tokens")
    monkeypatch.undo()
    home = left / "nodes" / "a"
    assert len(list(home.glob(".part-*/tokens/tokens-ids.arrow"))) == 2
    assert len(list(home.glob("train-*"))) == 1
    (left / ".part-text").mkdir()
    (home / "notes").write_text("somebody's own")
    whole = kept(left)["test-" + next(left.glob("test-*")).name.removeprefix("test-")]
    prepare_folder(left, kept=True)
    assert not list(left.rglob(".part-*"))
    assert_equal(load(folder, experiment_of(), left), load(folder, experiment_of(tokens="memory")))
    assert (home / "notes").exists()
    assert next(left.glob("test-*")).stat().st_ino == whole


def test_plain_text_is_not_even_mapped_once_a_node_has_its_tokens(folder: Path) -> None:
    found = load(folder, experiment_of(), folder / "tokens")
    mapped_files = [line.split()[5] for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line]
    assert found.train.rows
    assert any(name.endswith("tokens-ids.arrow") for name in mapped_files)
    assert {Path(name).parent.name.split("-")[0] for name in mapped_files} == {"train", "held_out", "test"}


def test_back_at_memory_nothing_stays_but_what_others_put_there(folder: Path) -> None:
    load(folder, experiment_of(), folder / "tokens")
    (folder / "tokens" / "test-data").mkdir()
    prepare_folder(folder / "tokens", kept=False)
    assert [path.name for path in (folder / "tokens").iterdir()] == ["test-data"]
    (folder / "tokens" / "test-data").rmdir()
    prepare_folder(folder / "tokens", kept=False)
    assert not (folder / "tokens").exists()


def test_only_the_owner_can_read_them_and_no_text_stays_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(home))
    before = os.umask(0o022)
    try:
        prepare_folder(folder / "tokens", kept=True)
        load(folder, experiment_of(), folder / "tokens")
        unkept = load(folder, experiment_of())
    finally:
        os.umask(before)
    paths = list((folder / "tokens").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    assert stat.S_IMODE((folder / "tokens").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder / "tokens").rglob("*-*") if path.is_dir()} == {0o700}
    assert all(path.suffix in {".arrow", ".json"} for path in paths if path.is_file())
    assert not any(b"w1 w2" in path.read_bytes() for path in paths if path.is_file())
    assert not list(home.iterdir())
    assert_equal(unkept, load(folder, experiment_of(tokens="memory")))


def test_records_on_disk_are_those_in_memory_whatever_is_asked_of_them(folder: Path) -> None:
    wanted, found = (load_node_records(experiment_of(tokens=tokens), site(folder)) for tokens in ("memory", "mapped"))
    assert list(found.records) == list(wanted.records)
    assert [found.records[row] for row in (7, -1, 0, 20, 5)] == [wanted.records[row] for row in (7, -1, 0, 20, 5)]
    assert list(found.records[3:20:4]) == list(wanted.records[3:20:4])
    with pytest.raises(IndexError):
        found.records[ROWS]
    assert (found.train, found.held_out, found.unit_tags) == (wanted.train, wanted.held_out, wanted.unit_tags)


@pytest.mark.parametrize("split", [{"kind": "iid"}, {"kind": "dirichlet"}, {"kind": "column", "column": "person"}])
def test_one_dataset_is_dealt_and_held_out_of_alike(folder: Path, split: dict[str, Any]) -> None:
    given = {"source": "own.jsonl", "test": None, "test_share": 0.2, "split": split}
    both = []
    for tokens in ("memory", "mapped"):
        experiment = experiment_of("sequence-classification", tokens, data=given)
        sites = [DataSite(name, ("a", "b"), None, folder, folder) for name in ("a", "b")]
        fleet = load_fleet_records(experiment, sites)
        nodes = [(list(node.records), node.train, node.tags) for _, node in sorted(fleet.nodes.items())]
        both.append((nodes, list(fleet.test or ())))
    assert both[0] == both[1]


def test_blank_lines_of_a_text_file_are_no_records(folder: Path) -> None:
    (folder / "own.txt").write_text("".join(f"w{row}\n\n" if row % 3 else f"w{row}\n" for row in range(20)))
    experiment = experiment_of(data={"unit": None, "test": None})
    found = load_node_records(experiment, DataSite("a", ("a",), "own.txt", folder, folder))
    assert [record.text for record in found.records] == [f"w{row}" for row in range(20)]


@pytest.mark.parametrize("task", ["causal-lm", "sequence-classification", "multiple-choice", "token-classification"])
def test_what_is_wrong_with_a_record_is_said_with_its_number_in_the_file(folder: Path, task: str) -> None:
    lines = [json.loads(line) for line in (folder / "own.jsonl").read_text().splitlines()]
    lines[20] |= {"text": " ", "label": "c", "answer": 7, "tags": []}
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = []
    for tokens in ("memory", "mapped"):
        with pytest.raises(DataError, match="record 21") as error:
            load_node_records(experiment_of(task, tokens), site(folder))
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "wish",
    [
        {"task": {"kind": "vector-classification", "labels": ["a", "b"]}},
        {"task": {"kind": "image-classification", "labels": ["a", "b"]}},
        {"data": {"watch": True}},
        {
            "data": {"source": "x.csv"},
            "simulation": {
                "periods": {"column": "c", "first": ["a"], "later": [{"phase": 1, "values": ["b"], "share": 0.5}]}
            },
        },
    ],
)
def test_what_has_no_tokens_or_grows_is_refused(wish: dict[str, Any]) -> None:
    given = {"model": {"source": "tiny"}, "task": {"kind": "causal-lm"}, "privacy": {"level": "none"}, **wish}
    with pytest.raises(ValidationError, match="tokens mapped"):
        Experiment.model_validate({**given, "data": {"tokens": "mapped", **given.get("data", {})}})
