"""`data.tokens: mapped`: the same batches as from memory, kept for the next start, never stale, never torn."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.learning.data.mapped_data import (
    SPECIAL,
    TASKS,
    TOKENIZER,
    WORDS,
    experiment_of,
    load,
    small_pieces,
    tokenizer_of,
    write,
)
from transformers import PreTrainedTokenizerFast

from gossipfl.errors import DataError
from gossipfl.learning.data import (
    NodeData,
    blocks,
    kept_tokens,
)
from gossipfl.learning.data.examples import Examples
from gossipfl.learning.data.mapped import MappedArray
from gossipfl.learning.data.token_folder import prepare_folder

GOLDFISH = {"loss": "goldfish", "goldfish": {"k": 2, "h": 2}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return small_pieces(tmp_path, monkeypatch)


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
def test_what_is_tokenized_in_blocks_is_bit_for_bit_what_is_at_once(
    tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "own.jsonl")
    write(tmp_path / "test.jsonl", changed=range(1))
    experiment = experiment_of(task, "memory", training=GOLDFISH if task.startswith("causal-lm") else {})
    at_once = load(tmp_path, experiment)
    monkeypatch.setattr(blocks, "RECORDS_AT_ONCE", 5)
    in_blocks = load(tmp_path, experiment)
    assert any(isinstance(values, MappedArray) for values in vars_of(in_blocks.train.content))
    assert_equal(in_blocks, at_once)


@pytest.mark.parametrize("tokens", ["memory", "mapped"])
@pytest.mark.parametrize("task", TASKS)
def test_a_part_without_a_record_is_an_empty_one(folder: Path, task: str, tokens: str) -> None:
    found = load(folder, experiment_of(task, tokens, data={"held_out": 0.0}), folder / "tokens")
    assert found.train.units > 0
    assert (found.held_out.units, found.held_out.rows) == (0, 0)
    assert list(found.held_out.rows_in_order(4)) == []


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
    wanted, found = (
        load(folder, experiment_of(tokens=tokens, training=GOLDFISH), folder / "tokens")
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


def test_of_a_node_that_was_renamed_and_of_a_test_set_that_is_no_more_nothing_stays(folder: Path) -> None:
    load(folder, experiment_of(), folder / "tokens")
    shutil.copytree(folder / "tokens" / "nodes" / "a", folder / "tokens" / "nodes" / "former")
    prepare_folder(folder / "tokens", kept=True)
    assert len(kept(folder)) == 5, "train and held_out of two nodes, test"
    prepare_folder(folder / "tokens", kept=True, own="a", tests=True)
    assert len(kept(folder)) == 3
    prepare_folder(folder / "tokens", kept=True, own="a", tests=False)
    assert {Path(name).parent.name for name in kept(folder)} == {"a"}


def test_where_a_disk_is_full_is_said_also_of_temporary_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_tokens, "_made", full)
    with pytest.raises(DataError, match=r"tokens cannot be kept in .+ \(TMPDIR\): .*No space left"):
        load(folder, experiment_of())


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
