"""Prompt and response as two sequences: what an encoder reads, and what a decoder says."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.kinds.seam import DataKind, Reading
from gossipfl.learning.data.pair_rows import PairRows
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.tokens import Tokens, flat_tokens, longer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _prompted(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    # the experiment has both columns: its section says so before anything is read
    prompt, response = experiment.data.prompt or "", experiment.data.response or ""
    return {"text": columns.words(response, "data.response"), "prompt": columns.words(prompt, "data.prompt")}


def _pairs(records: Sequence[Record], reading: Reading) -> PairRows:
    tokenizer = reading.tokenizer
    if tokenizer is None:
        raise DataError(f"task.kind {reading.task.kind} reads text, and the model has no tokenizer")
    limit = min(reading.task.max_length, tokenizer.model_max_length)
    prompts = encoder_ids(tokenizer, [record.prompt or "" for record in records], limit)
    responses = _decoder_ids(tokenizer, [record.text for record in records])
    full = [
        len(said) > limit or (len(read) >= limit and longer([record.prompt or ""], tokenizer, limit) > 0)
        for read, said, record in zip(prompts, responses, records, strict=True)
    ]
    said = [ids[:limit] for ids in responses]
    return PairRows(_told(prompts, records), _told(said, records), reading.pad, sum(full))


def encoder_ids(tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], limit: int) -> list[list[int]]:
    """What the encoder reads of prompts: as the tokenizer makes any text, cut at its end, special tokens and all."""
    # of no text at all the library makes none, with an error
    rows: list[list[int]] = []
    if prompts:
        rows = tokenizer(list(prompts), truncation=True, max_length=limit)["input_ids"]
    return rows


def _decoder_ids(tokenizer: "PreTrainedTokenizerBase", responses: Sequence[str]) -> list[list[int]]:
    """What the decoder says, to the end-of-text token, so that it learns to stop."""
    rows: list[list[int]] = []
    if responses:
        rows = tokenizer(text_target=list(responses), verbose=False)["input_ids"]
    end = tokenizer.eos_token_id
    return [ids if end is None or ids[-1:] == [end] else [*ids, end] for ids in rows]


def _told(rows: Sequence[list[int]], records: Sequence[Record]) -> Tokens:
    """Rows of a token at least."""
    for ids, record in zip(rows, records, strict=True):
        if not ids:
            raise DataError(f"the tokenizer makes no token of a text of {len(record.text)} characters or its prompt")
    return flat_tokens([(ids, 0) for ids in rows])


PAIRS = DataKind(_prompted, _pairs, PairRows)
