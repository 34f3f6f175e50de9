"""The folder of a run.

config.yaml      everything resolved             metrics.jsonl   one line an evaluation
origin.json      where its relative paths start
versions.json    of the packages used            nodes.jsonl     the same by node: columns in the nodes' order
topology.json    nodes and edges                 result.json     what --json prints
adapter.json     which layers are adapted, and how many values that makes
adapter.safetensors   where the run ended: the nodes' mean, see `adapter_file`
checkpoint.bin   what a stopped run goes on from; gone when it is done
"""

import fcntl
import importlib.metadata
import json
import logging
import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, TypeVar

from gossipfl.config.experiment import Experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import DataError, StateError
from gossipfl.learning.adapters.summary import AdapterSummary
from gossipfl.learning.data.token_folder import prepare_folder
from gossipfl.learning.sources import parts_on_disk
from gossipfl.runs.checkpoint_file import Sink, reading_frozen, writing_frozen
from gossipfl.runs.result import RunResult

T = TypeVar("T")

logger = logging.getLogger(__name__)
PACKAGES = ("gossipfl", "torch", "transformers", "peft", "opacus", "networkx", "numpy", "scikit-learn", "ray", "flwr")
_LINES = ("metrics.jsonl", "nodes.jsonl")
_PREPARED = frozenset({"config.yaml", "versions.json", "topology.json", "adapter.json", "origin.json", "tokens"})
"""All that there is before the first evaluation: a run that ended before that leaves nothing worth keeping."""


class RunDirectory:
    """A run's folder, made or opened again.

    Args:
        path: new, or with nothing recorded in it; with `resume` a folder in which this very configuration began.
        config: YAML of everything resolved.

    Raises:
        DataError: there is something in it, or it cannot be written to.
        StateError: it belongs to another configuration, or another process runs in it.
    """

    def __init__(self, path: Path, config: str, *, resume: bool) -> None:
        self.path = path
        kept = path / "config.yaml"
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not _is_unused({item.name for item in path.iterdir()}):
                if not resume:
                    raise DataError(f"--output {path} is not empty; --resume goes on with a run that was stopped")
                _check_same(path, config)
                return
            self.forget_tokens()
            with locked(kept):
                kept.write_text(config, encoding="utf-8")
            (path / "versions.json").write_text(json_text(_versions()) + "\n")
        except OSError as error:
            raise DataError(f"--output {path}: {error.strerror}") from error

    @property
    def metrics(self) -> Path:
        """Where a line is added for every evaluation."""
        return self.path / _LINES[0]

    @property
    def tokens(self) -> Path:
        """Where `data.tokens: mapped` keeps tokens until the run is done."""
        return self.path / "tokens"

    def forget_tokens(self) -> None:
        """Removes what a run kept there, also one that was killed; what cannot be removed is named in the log."""
        try:
            prepare_folder(self.tokens, kept=False)
        except DataError as error:
            logger.warning("tokens of records stay behind: %s", error)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes out of the folder meanwhile.

        Raises:
            StateError: one runs in it.
        """
        with locked(self.path / "config.yaml"):
            yield

    def write_topology(self, nodes: Sequence[str], neighbors: Callable[[str], Iterable[str]]) -> None:
        """Who is linked with whom."""
        edges = [[name, other] for name in nodes for other in neighbors(name) if name < other]
        (self.path / "topology.json").write_text(json_text({"nodes": nodes, "edges": edges}) + "\n")

    def write_origin(self, folder: Path, experiment: Experiment | None = None) -> None:
        """Where relative paths of config.yaml start, and what lies there now of the model that it trains, if one.

        Raises:
            ModelError: the model is not there.
        """
        known: Mapping[str, str] = {}
        if experiment is not None:
            basis = experiment.adapter.basis
            known = parts_on_disk(experiment.model, None if basis is None else folder / basis, folder=folder)
        content = {"folder": folder.resolve(), "components": known}
        (self.path / "origin.json").write_text(json_text(content) + "\n")

    def write_adapter(self, summary: AdapterSummary) -> None:
        """What is trained."""
        (self.path / "adapter.json").write_text(json_text(summary) + "\n")

    def append(self, metrics: Mapping[str, object], nodes: Mapping[str, object]) -> None:
        """One evaluation."""
        for name, line in zip(_LINES, (metrics, nodes), strict=True):
            with (self.path / name).open("a") as file:
                file.write(json_text(line) + "\n")

    def write_result(self, result: Mapping[str, object]) -> None:
        """The run is done: nothing is left to go on from."""
        (self.path / "result.json").write_text(json_text(result) + "\n")
        (self.path / "checkpoint.bin").unlink(missing_ok=True)

    def result(self) -> RunResult | None:
        """Of a run that is done.

        Raises:
            StateError: what is there is no JSON object, or another version wrote it.
        """
        path = self.path / "result.json"
        if not path.exists():
            return None
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            result = None
        if not isinstance(result, dict):
            raise StateError(f"{path} is damaged; begin the run anew in another folder")
        return RunResult.from_json(result, self.path)

    def save(self, write: Callable[[Sink], None]) -> None:
        """What the run goes on from, with how long the lines were then.

        Args:
            write: writes it.
        """
        lengths = [_length(self.path / name) for name in _LINES]
        with writing_frozen(self.path / "checkpoint.bin") as sink:
            sink.write(json.dumps(lengths).encode() + b"\n")
            write(sink)

    def load(self, read: Callable[[BinaryIO], T]) -> T | None:
        """What `read` makes of what `save` wrote, None without; lines written later are cut off.

        Raises:
            StateError: the checkpoint is damaged.
        """
        path = self.path / "checkpoint.bin"
        if not path.exists():
            self._cut([0] * len(_LINES))
            return None
        with reading_frozen(path) as file:
            self._cut(json.loads(file.readline()))
            return read(file)

    def _cut(self, lengths: Sequence[int]) -> None:
        for name, length in zip(_LINES, lengths, strict=True):
            if (self.path / name).exists():
                with (self.path / name).open("r+b") as file:
                    file.truncate(length)


def check_begun(path: Path, config: str) -> None:
    """Whether `RunDirectory` would go on here, before anything is run.

    Raises:
        DataError, StateError: something else is recorded there.
    """
    if path.is_dir() and not _is_unused({item.name for item in path.iterdir()}):
        _check_same(path, config)


def _is_unused(names: Collection[str]) -> bool:
    # a config.yaml by itself is somebody's own
    return not names or ("versions.json" in names and _PREPARED.issuperset(names))


def _check_same(path: Path, config: str) -> None:
    try:
        kept = (path / "config.yaml").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"--output {path} holds no run to go on with: there is no config.yaml in it") from None
    if kept == config:
        return
    lines = zip_longest(kept.splitlines(), config.splitlines(), fillvalue="")
    there, here = next((pair for pair in lines if pair[0] != pair[1]), ("", ""))
    raise StateError(
        f"{path} holds a run of another configuration: {there.strip()!r} there, {here.strip()!r} here; "
        "give another --output"
    )


@contextmanager
def locked(config: Path) -> Iterator[None]:
    """Keeps other processes out of the folder of a file meanwhile; the file is made when it is not there.

    Raises:
        StateError: one runs in it.
    """
    with config.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"another process runs in {config.parent}") from error
        yield


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
