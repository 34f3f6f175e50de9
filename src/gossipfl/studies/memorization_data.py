"""The texts of an audit of memorization: what is public, what is tested on, what nodes train on.

definitions of HPO ── by organ system, joined to passages ── shuffled ──> test | nodes' | public
                      └─ of all systems but the private one, if one is ─────────────> public
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedExperiment, change_experiment
from gossipfl.config.memorization import CorpusConfig
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError, DataError
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.pretraining import Show, pretrained
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo


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
    """Fills the files of the experiment's corpus; they stay where all of them are there."""
    corpus = loaded.experiment.memorization.corpus
    if corpus is None:
        return
    files = {name: loaded.folder / path for name, path in _files(loaded.experiment).items()}
    if all(file.exists() for file in files.values()):
        return
    parts = deal(distinct_definitions(load_hpo()), corpus)
    for name, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        rows = ({loaded.experiment.data.text: text} for text in parts[name])
        fresh.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        fresh.replace(file)


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
    apart, shared = _apart(definitions, corpus.private)
    private, public = passages(apart, corpus.characters), passages(shared, corpus.characters)
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
