"""Questions with their choices, as a row of tokens a choice.

choices   a column with a list, with JSON of one, or with {"A": …, "B": …}; or a column a choice, empty cells at the end
answer    place of the right one from 0, its letter, or its text
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import numpy as np

from gossipfl.config.experiment import DataConfig, Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.choice_rows import ChoiceRows
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.kinds.seam import DataKind, Reading
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.tokens import flat_tokens, join, prompt_response

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _questions(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    data = experiment.data
    questions = columns.words(data.question, "data.question")
    values = zip(_choices(columns, data), columns.column(data.answer, "data.answer"), strict=True)
    choices, labels = [], []
    for number, (given, answer) in enumerate(values, columns.first):
        where = f"record {number} of data {columns.source!r}"
        choices.append(_named(given, where))
        labels.append(_place(answer, choices[-1], f"data.answer: {where}"))
    texts = [tuple(named.values()) for named in choices]
    return {"text": [""] * len(questions), "prompt": questions, "choices": texts, "label": labels}


def _choices(columns: Columns, data: DataConfig) -> list[Any]:
    """What stands for the choices of each row."""
    if len(data.choices) == 1:
        return columns.column(data.choices[0], "data.choices")
    return [list(row) for row in zip(*(columns.column(name, "data.choices") for name in data.choices), strict=True)]


def _named(given: object, where: str) -> dict[str, str]:
    """Choices by their letter.

    Raises:
        DataError: they are no list of two texts or more.
    """
    found = _parsed(given)
    if isinstance(found, Mapping):
        names, texts = [str(name) for name in found], list(found.values())
    else:
        texts = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []
        names = list(_LETTERS[: len(texts)])
    # a table of questions with unequal numbers of choices has empty cells
    while texts and texts[-1] is None:
        texts.pop()
    if not 2 <= len(texts) <= len(names) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataError(
            f"data.choices: {where}: a list of 2 to {len(_LETTERS)} texts was expected, not {_shown(given)}"
        )
    return dict(zip(names, texts, strict=False))


def _parsed(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        found: object = json.loads(given)
    except ValueError:
        return None
    return found


def _place(answer: object, choices: Mapping[str, str], where: str) -> int:
    """Where the right choice stands.

    Raises:
        DataError: it is none of them, or may be one or another.
    """
    texts = list(choices.values())
    if isinstance(answer, int) and not isinstance(answer, bool):
        places = {answer} if 0 <= answer < len(texts) else set()
    else:
        places = _meant(str(answer), list(choices), texts) if answer is not None else set()
    if len(places) != 1:
        problem = "may mean one choice or another" if places else "is none of the choices"
        raise DataError(
            f"{where}: {_shown(answer)} {problem}; the place of the right one from 0, its letter among "
            f"{', '.join(choices)}, or its text was expected"
        )
    return places.pop()


def _meant(answer: str, names: Sequence[str], texts: Sequence[str]) -> set[int]:
    """Every place that a text may stand for."""
    meant = {place for place, text in enumerate(texts) if text.strip() == answer.strip()}
    meant |= {place for place, name in enumerate(names[: len(texts)]) if name.upper() == answer.strip().upper()}
    if answer.strip().isdecimal() and int(answer) < len(texts):
        meant.add(int(answer))
    return meant


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _rows(records: Sequence[Record], reading: Reading) -> ChoiceRows:
    tokenizer, task = reading.tokenizer, reading.task
    if tokenizer is None:
        raise DataError(f"task.kind {task.kind} reads text, and the model has no tokenizer")
    limit = min(task.max_length, tokenizer.model_max_length)
    said = [replace(record, text=choice, choices=()) for record in records for choice in record.choices]
    pairs = prompt_response(said, tokenizer, chat_template=task.chat_template)
    starts = np.cumsum([0, *(len(record.choices) for record in records)], dtype=np.int64)
    questions = [pairs[first:end] for first, end in pairwise(starts)]
    rows = chain.from_iterable(_joined(each, limit) for each in questions)
    tokens = flat_tokens(list(rows))
    if (tokens.loss_from == 0).any() or (np.diff(tokens.starts) <= tokens.loss_from).any():
        raise DataError("the tokenizer makes no token of a question, or of one of its choices")
    right = np.array([record.label for record in records], np.int64)
    cut = sum(any(len(prompt) + len(response) > limit for prompt, response in each) for each in questions)
    return ChoiceRows(tokens, starts, right, reading.pad, cut)


def _joined(pairs: Sequence[tuple[list[int], list[int]]], limit: int) -> list[tuple[list[int], int]]:
    """The rows of one record: where a choice needs the room, all lose the same of the question's beginning."""
    room = limit - min(limit - 1, max(len(response) for _, response in pairs))
    return [join(prompt[max(0, len(prompt) - room) :], response, limit) for prompt, response in pairs]


CHOICES = DataKind(_questions, _rows, ChoiceRows)
