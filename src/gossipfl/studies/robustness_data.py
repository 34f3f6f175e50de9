"""The files of the study of robustness: digits for the two sides of a dumbbell, and terms for a language model.

digits        0 to 4 at n0 … n9, 5 to 9 at n10 … n19
definitions   short ones, of the nervous system ── shuffled ──> the nodes' | test        of all other systems: public
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from gossipfl.config.loading import LoadedExperiment
from gossipfl.core.rng import generator
from gossipfl.learning.data.digits import SKLEARN, read_sklearn
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo
from gossipfl.studies.memorization_data import prepare

SIDE = 10
"""Nodes of a clique; classes are dealt half to each."""
CLASSES = 5
SYSTEM = "Abnormality of the nervous system"
LONGEST = 100
"""Characters of a definition that is short."""
TEST = 80
RECORDS = 600
"""Terms of the nodes, all together."""
Row = Mapping[str, object]


def prepare_part(loaded: LoadedExperiment) -> LoadedExperiment:
    """The experiment with its files written, and its model made; files that are there stay.

    Raises:
        DataError: a package with data is not installed.
    """
    folder = loaded.folder / ".." / "data"
    if loaded.experiment.memorization.pretrain is None:
        _write(folder, {"digits-sides.jsonl": sides()})
        return loaded
    names = ("hpo-terms-test.jsonl", "hpo-terms.jsonl", "hpo-terms-public.jsonl")
    if not all((folder / name).exists() for name in names):
        _write(folder, dict(zip(names, terms(distinct_definitions(load_hpo())), strict=True)))
    return prepare(loaded)


def sides() -> Iterator[Row]:
    """scikit-learn's digits with a column `node`.

    Raises:
        DataError: scikit-learn is not installed.
    """
    table = read_sklearn(f"{SKLEARN}digits")
    labels = np.array(table["label"]).astype(int)
    for side in range(2):
        mine = np.flatnonzero(labels // CLASSES == side)
        for place, row in enumerate(generator(0, purpose="sides").permutation(mine).tolist()):
            yield {**table[row], "node": f"n{side * SIDE + place % SIDE}"}


def terms(definitions: Iterable[Definition]) -> tuple[list[Row], list[Row], list[Row]]:
    """Terms and their definitions to be tested on, for the nodes, and as public text; disjoint, the same every time."""
    short = [row for row in definitions if len(row["response"]) <= LONGEST]
    apart = [row for row in short if row["organ_system"] == SYSTEM]
    order = generator(0, purpose="terms").permutation(len(apart)).tolist()
    asked: list[Row] = [{"prompt": _term(apart[n]), "response": apart[n]["response"]} for n in order]
    public = [{"text": f"{_term(row)}\n{row['response']}"} for row in short if row["organ_system"] != SYSTEM]
    return asked[:TEST], asked[TEST : TEST + RECORDS], [*public]


def _term(row: Definition) -> str:
    return row["prompt"].partition('"')[2].rpartition('"')[0]


def _write(folder: Path, files: Mapping[str, Iterable[Row]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        if not (folder / name).exists():
            fresh = folder / f"{name}.new"
            fresh.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            fresh.replace(folder / name)
