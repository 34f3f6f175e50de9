"""Records as token ids, tokenized once, in flat arrays.

    ids     [ row 0 | row 1 | … ]        starts: where each row begins
    row     [ prompt | response ]        loss_from: its first token that counts in the loss

Prompt and response are tokenized apart and joined, so that the boundary is exact and the model sees in training the
prompt's very ids that it will see when it generates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.data.mapped import Parts, Values
from gossipfl.learning.data.record import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Tokens:
    """Rows of token ids.

    Attributes:
        ids: (tokens,) int32, row after row; in memory, or mapped.
        starts: (rows + 1,) int64.
        loss_from: (rows,) int64, position within the row; the very first token is never predicted in any case.
        cut: rows that lost tokens, being too long.
    """

    ids: Values
    starts: NDArray[np.int64]
    loss_from: NDArray[np.int64]
    cut: int = 0

    def parts(self, name: str) -> Mapping[str, NDArray[Any]]:
        """As arrays under this name, of which those of several blocks can be joined."""
        lengths, cut = np.diff(self.starts), np.array([self.cut], np.int64)
        found = {"ids": np.asarray(self.ids), "lengths": lengths, "loss_from": self.loss_from, "cut": cut}
        return {f"{name}-{what}": values for what, values in found.items()}

    @classmethod
    def of_parts(cls, parts: Parts, name: str) -> Self:
        """Of what `parts` gave, block after block; the ids stay where they are."""
        lengths, loss_from, cut = (parts[f"{name}-{what}"].whole() for what in ("lengths", "loss_from", "cut"))
        return cls(parts[f"{name}-ids"], starts_of(lengths), loss_from, int(cut.sum()))


def tokenize(records: Sequence[Record], tokenizer: "PreTrainedTokenizerBase", task: TaskConfig) -> Tokens:
    """The records' tokens, each row cut to `task.max_length` or to what the tokenizer's model can take."""
    limit = min(task.max_length, tokenizer.model_max_length)
    if records and records[0].prompt is not None:
        pairs = prompt_response(records, tokenizer, chat_template=task.chat_template)
        rows = [join(prompt, response, limit) for prompt, response in pairs]
        cut = sum(len(prompt) + len(response) > limit for prompt, response in pairs)
    else:
        texts = [record.text for record in records]
        encoded = tokenizer(texts, truncation=True, max_length=limit)["input_ids"] if texts else []
        ended = task.kind == "causal-lm"
        rows = [(_ended(ids, tokenizer, limit) if ended else ids, 0) for ids in encoded]
        cut = longer([text for text, ids in zip(texts, encoded, strict=True) if len(ids) >= limit], tokenizer, limit)
    return replace(flat_tokens(rows), cut=cut)


def longer(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", limit: int) -> int:
    """How many of some texts come to more than `limit` tokens."""
    return sum(len(ids) > limit for ids in tokenizer(texts, verbose=False)["input_ids"]) if texts else 0


def render_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: str, *, chat_template: bool) -> str:
    """The prompt as the model reads it, up to where the response begins.

    With `chat_template` and a tokenizer that has one: a user's message and the opening of the assistant's; else the
    prompt on a line of its own. Tokenize it with `add_special_tokens=False` after `first_ids`.
    """
    if chat_template and tokenizer.chat_template:
        messages = [{"role": "user", "content": prompt}]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return prompt if prompt[-1:].isspace() else prompt + "\n"


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", prompt: str, *, chat_template: bool) -> list[int]:
    """Token ids of a prompt exactly as training feeds them: what generation should start from."""
    text = render_prompt(tokenizer, prompt, chat_template=chat_template)
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return [*_first_ids(tokenizer, chat_template=chat_template), *ids]


def join(prompt: Sequence[int], response: Sequence[int], limit: int) -> tuple[list[int], int]:
    """One row of at most `limit` ids and where its response begins.

    Too long, it loses the prompt's beginning first; the response is cut only when it fills the row by itself, and one
    prompt token always stays, so that the response's first token is predicted from something.
    """
    kept = list(response[: limit - 1])
    room = limit - len(kept)
    head = list(prompt[max(0, len(prompt) - room) :])
    return head + kept, len(head)


def prompt_response(
    records: Sequence[Record], tokenizer: "PreTrainedTokenizerBase", *, chat_template: bool
) -> list[tuple[list[int], list[int]]]:
    """The ids of each record's prompt, and of its response with the token that ends it."""
    # of no text at all the library makes none, with an error
    if not records:
        return []
    rendered = [_render(record, tokenizer, chat_template=chat_template) for record in records]
    begin = _first_ids(tokenizer, chat_template=chat_template)
    prompts, responses = (
        tokenizer([pair[side] for pair in rendered], add_special_tokens=False, verbose=False)["input_ids"]
        for side in (0, 1)
    )
    return [(begin + prompt, response) for prompt, response in zip(prompts, responses, strict=True)]


def _render(record: Record, tokenizer: "PreTrainedTokenizerBase", *, chat_template: bool) -> tuple[str, str]:
    """Prompt and response as text; the response ends with the end-of-text token, and with nothing behind it."""
    end = tokenizer.eos_token or ""
    prompt = record.prompt or ""
    opening = render_prompt(tokenizer, prompt, chat_template=chat_template)
    if not (chat_template and tokenizer.chat_template):
        return opening, record.text + end
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": record.text}]
    whole = str(tokenizer.apply_chat_template(messages, tokenize=False))
    if not whole.startswith(opening):  # the template rewrites history: the response stands as it is
        return opening, record.text + end
    reply = whole[len(opening) :]
    before, mark, behind = reply.rpartition(end) if end else (reply, "", "")
    return opening, before + mark if mark and not behind.strip() else reply


def _first_ids(tokenizer: "PreTrainedTokenizerBase", *, chat_template: bool) -> list[int]:
    """The beginning-of-text token where the tokenizer sets one; a chat template writes its own."""
    if chat_template and tokenizer.chat_template:
        return []
    begins = tokenizer.bos_token_id is not None and tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id]
    return [tokenizer.bos_token_id] if begins else []


def _ended(ids: list[int], tokenizer: "PreTrainedTokenizerBase", limit: int) -> list[int]:
    """A text that was not cut ends with the end-of-text token, so that the model learns to stop."""
    end = tokenizer.eos_token_id
    return ids if end is None or len(ids) >= limit or ids[-1:] == [end] else [*ids, end]


def flat_tokens(rows: Sequence[tuple[Sequence[int], int]]) -> Tokens:
    """Rows of ids, each with the position its loss begins at."""
    lengths = np.fromiter((len(ids) for ids, _ in rows), np.int64, len(rows))
    starts = starts_of(lengths)
    ids = np.fromiter(chain.from_iterable(row for row, _ in rows), np.int32, int(starts[-1]))
    return Tokens(ids, starts, np.fromiter((first for _, first in rows), np.int64, len(rows)))


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows + 1,) where each row of these lengths begins, and the last one ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
