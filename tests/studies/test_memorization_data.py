from itertools import chain

import pytest

from gossipfl.config.memorization import CorpusConfig
from gossipfl.errors import ConfigError, DataError
from gossipfl.studies.corpora import Definition
from gossipfl.studies.memorization_data import deal, passages

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
