import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from gossipfl.errors import DataError
from gossipfl.learning.data.sources import detect_format, read_table

ROWS = [{"text": "NA", "label": "007"}, {"text": "two, three", "label": "x"}]

WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: path.write_text('text,label\nNA,007\n"two, three",x\n'),
    "a.tsv": lambda path: path.write_text("text\tlabel\nNA\t007\ntwo, three\tx\n"),
    "a.json": lambda path: path.write_text(json.dumps(ROWS)),
    "a.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "a.parquet": lambda path: datasets.Dataset.from_list(ROWS).to_parquet(path),
    "saved": lambda path: datasets.Dataset.from_list(ROWS).save_to_disk(path),
    "dict": lambda path: datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(path),
    "odd [name] *.csv": lambda path: path.write_text('text,label\nNA,007\n"two, three",x\n'),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_rows_as_written(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)

    assert read_table(name, folder=tmp_path).to_list() == ROWS


def test_a_text_file_is_a_record_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")

    assert read_table("a.txt", folder=tmp_path)["text"][:] == ["one", "two"]


def test_no_copy_of_the_records_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    WRITERS["a.csv"](tmp_path / "a.csv")

    read_table("a.csv", folder=tmp_path)

    assert {path.name for path in tmp_path.rglob("*")} == {"tmp", "a.csv"}


@pytest.mark.parametrize(
    ("source", "content", "message"),
    [
        ("gone.csv", None, "does not exist"),
        ("empty.csv", "", "is empty"),
        ("head.csv", "text,label\n", "holds no records"),
        ("bad.json", "{not json", "cannot be read as json"),
        ("bad.parquet", "not parquet", "cannot be read as parquet"),
        ("latin.csv", b"text\n\xe9\xff\n", "cannot be read as csv"),
        ("x.dat", "a", "set data.format"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    source: str, content: str | bytes | None, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if content is not None:
        (tmp_path / source).write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(DataError, match=message) as caught:
        read_table(source, folder=tmp_path)

    assert "\n" not in str(caught.value)
    # the library has words of its own for some
    assert not caplog.records


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="save_to_disk"):
        read_table(".", folder=tmp_path)


def test_a_missing_split_names_those_there_are(tmp_path: Path) -> None:
    WRITERS["dict"](tmp_path / "dict")

    with pytest.raises(DataError, match="has no split 'dev'; it has train"):
        read_table("dict", folder=tmp_path, split="dev")


def test_only_an_owner_and_a_name_that_are_no_path_mean_the_hub(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    assert detect_format("owner/name", tmp_path / "owner/name") == "hub"
    for mistyped in ("data/hospital", "hospital", "../hospital", "/data/hospital", "a/b/c"):
        with pytest.raises(DataError, match="does not exist"):
            detect_format(mistyped, tmp_path / mistyped)
