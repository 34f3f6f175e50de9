"""`data.watch`: a folder of files, to which more come; one that cannot be used is left out, and named.

part-1.csv   part-2.csv   more.jsonl      .hidden  x.part  x.tmp      what is renamed into place when it is whole
taken, in the order of their names        not looked at
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.data.sources import ENDINGS, read_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of the folder, as it was when it was looked at.

    Attributes:
        name: in the folder.
        size_bytes: of its content.
        changed_ns: when that was last written, since the epoch.
    """

    name: str
    size_bytes: int
    changed_ns: int


class UnsettledFileError(DataError):
    """The file has changed while it was read: whoever writes it is not done."""


def data_files(folder: Path) -> list[DataFile]:
    """The files with an ending that says how to read them, by name; hidden ones and folders are none.

    Raises:
        DataError: there is no such folder.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if _is_data(path))
        return [_look(path) for path in paths]
    except FileNotFoundError:
        if folder.is_dir():
            # one has gone between two looks
            return data_files(folder)
        raise DataError(f"data.watch: the folder {folder} does not exist") from None
    except OSError as error:
        raise DataError(f"data.watch: {folder}: a folder with data files was expected: {error.strerror}") from error


def read_file(experiment: Experiment, folder: Path, file: DataFile) -> tuple[Record, ...]:
    """The records of one file.

    Raises:
        UnsettledFileError: it is not what it was when it was looked at.
        DataError: it cannot be read, lacks a column, or has a label that `task.labels` does not name.
    """
    try:
        table = read_table(file.name, folder=folder, format=experiment.data.format)
        records = tuple(to_records(table, experiment, source=file.name))
        still = _look(folder / file.name)
    except FileNotFoundError as error:
        raise UnsettledFileError(f"data {file.name!r} is gone") from error
    except (pa.ArrowException, NotImplementedError, OverflowError, RecursionError) as error:
        raise DataError(f"data {file.name!r} cannot be read: {str(error).strip().splitlines()[:1]}") from error
    except DataError:
        if (folder / file.name).exists() and _look(folder / file.name) == file:
            raise
        raise UnsettledFileError(f"data {file.name!r} changed while it was read") from None
    if still != file:
        raise UnsettledFileError(f"data {file.name!r} changed while it was read")
    return records


def read_folder(experiment: Experiment, source: str, base: Path) -> list[Record]:
    """All records of a folder's files, one file after the other; files that cannot be used are named in the log.

    Args:
        source: the folder, as written; a relative path counts from `base`.

    Raises:
        DataError: no file can be used.
    """
    folder = base / Path(source).expanduser()
    found: list[Record] = []
    first: DataError | None = None
    for file in data_files(folder):
        try:
            found += read_file(experiment, folder, file)
        except DataError as error:
            logger.warning("%s is left out: %s", file.name, error)
            first = first or error
    if not found:
        raise first or DataError(f"data.watch: {folder} holds no file that ends with {', '.join(ENDINGS)}")
    return found


def _is_data(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in ENDINGS and path.is_file()


def _look(path: Path) -> DataFile:
    status = path.stat()
    return DataFile(path.name, status.st_size, status.st_mtime_ns)
