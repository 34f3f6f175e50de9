"""The texts of an audit of memorization: what is public, what is tested on, what nodes train on.

definitions of HPO ── by organ system, joined to passages ── shuffled ──> test | nodes' | public
                      └─ of all systems but the private one, if one is ─────────────> public

Terms repeat their siblings nearly word for word: a passage would be somebody else's too, and be recited without ever
having been averaged. So no two definitions share a run of words, but for public ones with each other.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedExperiment, change_experiment
from gossipfl.config.memorization import CorpusConfig
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError, DataError
from gossipfl.learning.cache import write_atomically
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.pretraining import Show, pretrained
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo

RUN = 6
"""Words in a row that two definitions may not share, their terms before them; of a shorter one all words."""


def prepare(loaded: LoadedExperiment, show: Show = lambda *_: None) -> LoadedExperiment:
    """The experiment with its texts written and its model made, where it wishes that.

    Args:
        show: told of every step of making the model.

    Raises:
        ConfigError: a corpus without the files that it is to fill.
        DataError: the package with the corpus is not installed, or the texts are too few.
    """
    write_corpus(loaded)
    wished = loaded.experiment.memorization.pretrain
    if wished is None:
        return loaded
    table = read_table(wished.source, folder=loaded.folder)
    texts = [str(text) for text in table[loaded.experiment.data.text]]
    folder = pretrained(texts, wished, length=loaded.experiment.task.max_length, show=show)
    return change_experiment(loaded, {"model.source": str(folder)}, source=str(loaded.path))


def write_corpus(loaded: LoadedExperiment) -> None:
    """Fills the files of the experiment's corpus that are not there; what is there has to be the same.

    Raises:
        DataError: see `prepare`; or a file holds something else.
    """
    corpus = loaded.experiment.memorization.corpus
    if corpus is None:
        return
    files = {name: loaded.folder / path for name, path in _files(loaded.experiment).items()}
    parts = deal(distinct_definitions(load_hpo()), corpus)
    for name, file in files.items():
        _fill(file, [{loaded.experiment.data.text: text} for text in parts[name]])


def passages(definitions: Sequence[Definition], characters: int) -> list[str]:
    """Definitions of an organ system one after the other, `Name: definition`, joined until they are long enough."""
    found: list[str] = []
    for system in sorted({row["organ_system"] for row in definitions}):
        lines = (_line(row) for row in definitions if row["organ_system"] == system)
        found += _joined(lines, characters)
    return found


def deal(definitions: Sequence[Definition], corpus: CorpusConfig) -> Mapping[str, Sequence[str]]:
    """Passages as test, records and public, disjoint; the same every time.

    Raises:
        ConfigError: no definition is of the private organ system.
        DataError: there are not enough of them.
    """
    inside, outside = _apart(definitions, corpus.private)
    kept = list(_without_siblings(inside))
    told = set().union(*map(_runs, kept))
    shared = [row for row in outside if told.isdisjoint(_runs(row))]
    private, public = passages(kept, corpus.characters), passages(shared, corpus.characters)
    needed = corpus.records + corpus.test
    if len(private) < needed or len(private) + len(public) == needed:
        raise DataError(
            f"memorization.corpus: {len(private)} passages of {corpus.characters} characters; {needed} were expected, "
            "records and test, and others that are public"
        )
    order = generator(0, purpose="memorization corpus").permutation(len(private))
    test, records, left = ([private[n] for n in part] for part in np.split(order, [corpus.test, needed]))
    return {"test": test, "records": records, "public": public or left}


def _apart(definitions: Sequence[Definition], system: str | None) -> tuple[Sequence[Definition], Sequence[Definition]]:
    """What is dealt to nodes, and what is public from the beginning."""
    if system is None:
        return definitions, ()
    known = sorted({row["organ_system"] for row in definitions})
    if system not in known:
        raise ConfigError(f"memorization.corpus.private: {system!r} is no organ system; one of {', '.join(known)}")
    inside = [row for row in definitions if row["organ_system"] == system]
    return inside, [row for row in definitions if row["organ_system"] != system]


def _without_siblings(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Those that share no run of words with one before them."""
    told: set[tuple[str, ...]] = set()
    for row in definitions:
        runs = _runs(row)
        if told.isdisjoint(runs):
            told |= runs
            yield row


def _runs(row: Definition) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", _line(row).lower())
    return {tuple(words[first : first + RUN]) for first in range(max(1, len(words) - RUN + 1))}


def _fill(file: Path, rows: Iterable[Mapping[str, str]]) -> None:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if file.exists():
        # of another corpus, by other numbers or another version of it: figures would be those of other texts
        if file.read_bytes() != content:
            raise DataError(
                f"{file} holds other text than memorization.corpus gives: move it away, or name another file"
            )
        return
    write_atomically(file, content)


def _files(experiment: Experiment) -> dict[str, str]:
    data, pretrain = experiment.data, experiment.memorization.pretrain
    if data.source is None or data.test is None:
        raise ConfigError("memorization.corpus fills files: data.source and data.test were expected")
    files = {"records": data.source, "test": data.test}
    return files if pretrain is None else {**files, "public": pretrain.source}


def _line(row: Definition) -> str:
    name = row["prompt"].partition('"')[2].rpartition('"')[0]
    return f"{name}: {row['response']}"


def _joined(lines: Iterator[str], characters: int) -> Iterator[str]:
    """The last ones, which are too short, are left out."""
    text = ""
    for line in lines:
        text = f"{text}\n{line}" if text else line
        if len(text) >= characters:
            yield text
            text = ""
