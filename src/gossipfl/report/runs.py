"""Recorded runs, read back from the folders that `gossipfl simulate` and the other drivers write.

metrics.jsonl   one line an evaluation        nodes.jsonl     the same by node, columns in the nodes' order
topology.json   nodes and edges               result.json     of a run that is done
                                              versions.json   of the packages it used
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gossipfl.config.explain import dotted
from gossipfl.config.graph_types import Graph
from gossipfl.errors import DataError
from gossipfl.report.recorded import Columns, Evaluation, RecordedRun, Summary
from gossipfl.runs.result import RunResult

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class _Topology:
    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]


def read_runs(folders: Sequence[Path]) -> list[RecordedRun]:
    """The runs in these folders, labeled by their names; by their parents' too where two are equal.

    Raises:
        DataError: a folder is missing, given twice, holds no run, or one that is damaged.
    """
    whole = [folder.resolve() for folder in folders]
    for place, folder in enumerate(whole):
        if folder in whole[:place]:
            raise DataError(f"{folders[place]} is given twice")
    names = [folder.name for folder in whole]
    labels = names if len(set(names)) == len(names) else ["/".join(folder.parts[-2:]) for folder in whole]
    return [_read_run(folder, label) for folder, label in zip(folders, labels, strict=True)]


def read_result(folder: Path) -> RunResult | None:
    """What came of the run in this folder; None of one that is not done.

    Raises:
        DataError: it is damaged.
        StateError: another version wrote it.
    """
    path = folder / "result.json"
    if not path.exists():
        return None
    return RunResult.from_json(_parsed(dict[str, Any], _text(path), str(path)), folder)


def read_versions(folder: Path) -> dict[str, str]:
    """Package by package what the run in this folder was done with.

    Raises:
        DataError: it is not there, or damaged.
    """
    path = folder / "versions.json"
    return _parsed(dict[str, str], _text(path), str(path))


def _read_run(folder: Path, label: str) -> RecordedRun:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise DataError(f"{folder} {what}; the folder of a run was expected, as gossipfl simulate writes it")
    graph = _graph(folder / "topology.json")
    summaries = _lines(folder / "metrics.jsonl", Summary)
    columns = _lines(folder / "nodes.jsonl", Columns)
    _check_columns(folder / "nodes.jsonl", columns, len(graph))
    # of a run that was killed, or goes on, the last line may be in one file only
    if not len(columns) <= len(summaries) <= len(columns) + 1:
        raise DataError(f"{folder}: {len(summaries)} lines in metrics.jsonl, {len(columns)} in nodes.jsonl")
    return RecordedRun(label, graph, tuple(map(Evaluation, summaries, columns)))


def _graph(path: Path) -> Graph:
    topology = _parsed(_Topology, _text(path), str(path))
    graph = Graph()
    graph.add_nodes_from(topology.nodes)
    graph.add_edges_from(topology.edges)
    if not topology.nodes or len(graph) != len(topology.nodes):
        raise DataError(f"{path}: no nodes, a name twice, or an edge to a node that is none")
    return graph


def _lines(path: Path, kind: type[Parsed]) -> list[Parsed]:
    # what follows the last line's end is still being written
    whole, end, _ = _text(path).rpartition("\n")
    if not end:
        raise DataError(f"{path} holds no evaluation")
    return [_parsed(kind, line, f"{path}: line {number}") for number, line in enumerate(whole.split("\n"), start=1)]


def _check_columns(path: Path, lines: Sequence[Columns], nodes: int) -> None:
    for number, line in enumerate(lines, start=1):
        columns = (line.own_loss, line.own_accuracy, line.test_loss, line.test_accuracy, *line.measures.values())
        counts = {len(line.distance), len(line.up), len(line.finished), *(len(column) for column in columns if column)}
        if counts != {nodes}:
            raise DataError(f"{path}: line {number}: columns of {sorted(counts)} values for {nodes} nodes")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path.parent} is no run's folder: there is no {path.name} in it") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text") from error


def _parsed(kind: type[Parsed], text: str, where: str) -> Parsed:
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = dotted(first["loc"])
        raise DataError(f"{where}: {field}{': ' if field else ''}{first['msg']}") from error
