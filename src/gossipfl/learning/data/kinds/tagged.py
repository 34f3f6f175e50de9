"""Words with a label each, as tokens: a word's first token carries its label, the others none.

words    Anna     visited  Ulm                   tags     person none place
tokens   [CLS] An ##na visited Ulm [SEP]         labels   −100 person −100 none place −100
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import datasets

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.content import IGNORED
from gossipfl.learning.data.kinds.seam import DataKind, Reading
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.tagged_rows import TaggedRows
from gossipfl.learning.data.tokens import flat_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _sentences(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    data, places = experiment.data, {label: place for place, label in enumerate(experiment.task.labels)}
    pairs = zip(_lists(columns, data.words, "data.words"), _lists(columns, data.tags, "data.tags"), strict=True)
    words, tags = [], []
    for number, (said, named) in enumerate(pairs, columns.first):
        where = f"record {number} of data {columns.source!r}"
        if len(said) != len(named) or not said:
            raise DataError(f"data.tags: {where} has {len(said)} words and {len(named)} tags")
        if not all(isinstance(word, str) and word.strip() for word in said):
            raise DataError(f"data.words: {where} has a word that is no text, or blank")
        strange = [name for name in named if str(name) not in places]
        if strange:
            raise DataError(f"data.tags: {where} has the tag {strange[0]!r}, which task.labels does not name")
        words.append(tuple(said))
        tags.append(tuple(places[str(name)] for name in named))
    return {"text": [" ".join(said) for said in words], "words": words, "tags": tags}


def _lists(columns: Columns, name: str, field: str) -> list[list[Any]]:
    """All values of a column of lists, or of JSON of such, as a csv file has them."""
    values = columns.column(name, field)
    inner = getattr(columns.rows.features[name], "feature", None)
    found = []
    for number, value in enumerate(values, columns.first):
        parsed = _parsed(value) if isinstance(value, str) else value
        if not isinstance(parsed, list):
            raise DataError(
                f"{field}: record {number} of data {columns.source!r} has no list in column {name!r}, nor JSON of one"
            )
        found.append(inner.int2str(parsed) if isinstance(inner, datasets.ClassLabel) else parsed)
    return found


def _parsed(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        return None
    return found


def _rows(records: Sequence[Record], reading: Reading) -> TaggedRows:
    tokenizer, task = reading.tokenizer, reading.task
    if tokenizer is None or not tokenizer.is_fast:
        raise DataError(
            f"task.kind {task.kind} needs a fast tokenizer (tokenizer.json), which says of which word a token is"
        )
    ids, labels, cut = [], [], 0
    limit = min(task.max_length, tokenizer.model_max_length)
    for record, words in zip(records, _as_in_a_text(records, tokenizer), strict=True):
        encoding = tokenizer(words, is_split_into_words=True, truncation=True, max_length=limit).encodings[0]
        carried = _labels(encoding.word_ids, record.tags)
        if all(label == IGNORED for label in carried):
            raise DataError(f"task.max_length {limit}: no word is left of a record of {len(words)} words")
        ids.append((encoding.ids, 0))
        labels.append((carried, 0))
        cut += bool(encoding.overflowing)
    return TaggedRows(flat_tokens(ids), flat_tokens(labels), reading.pad, cut)


def _as_in_a_text(records: Sequence[Record], tokenizer: "PreTrainedTokenizerBase") -> list[list[str]]:
    """The words of each record, so that they come to the tokens that they have in a text.

    Tokenizers for which the space belongs to the word behind it (GPT-2, RoBERTa) see none in a list of words.
    """

    def ids(text: str | list[str]) -> list[int]:
        found: list[int] = tokenizer(text, is_split_into_words=isinstance(text, list))["input_ids"]
        return found

    space = " " if ids(["to", "be"]) != ids("to be") == ids(["to", " be"]) else ""
    return [[word if place == 0 else space + word for place, word in enumerate(record.words)] for record in records]


def _labels(word_ids: Sequence[int | None], tags: Sequence[int]) -> list[int]:
    before = [None, *word_ids[:-1]]
    return [
        tags[word] if word is not None and word != last else IGNORED
        for word, last in zip(word_ids, before, strict=True)
    ]


TAGGED = DataKind(_sentences, _rows, TaggedRows)
