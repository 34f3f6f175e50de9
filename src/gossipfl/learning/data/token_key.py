"""What decides the tokens of some records, as one SHA-256: records in their order, tokenizer, task, versions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from gossipfl.learning.data.kinds import Reading
from gossipfl.learning.data.record import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT = 1
"""Of the files and of the code that fills them: one more with every change of what a record comes to."""
_LIBRARIES = ("transformers", "tokenizers")


def token_key(records: Sequence[Record], reading: Reading) -> str | None:
    """Hex of the hash; None where something may decide that cannot be known, so that nothing is ever used again.

    That is a tokenizer of somebody's own code or without `tokenizer.json`, and a chat template that asks for the date.
    """
    tokenizer, task, goldfish = reading.tokenizer, reading.task, reading.goldfish
    if tokenizer is None or not _is_known(tokenizer, chat=task.chat_template):
        return None
    settings = {
        "format": FORMAT,
        "versions": {name: version(name) for name in _LIBRARIES},
        "task": task.model_dump(mode="json"),
        "goldfish": None if goldfish is None else goldfish.model_dump(mode="json"),
        "tokenizer": _tokenizer(tokenizer),
    }
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for record in records:
        content = (record.text, record.prompt, record.label, record.choices, record.words, record.tags)
        # a text has no end of line outside its quotes: no two lists of records come to the same bytes
        key.update(json.dumps(content).encode() + b"\n")
    return key.hexdigest()


def _is_known(tokenizer: "PreTrainedTokenizerBase", *, chat: bool) -> bool:
    ours = type(tokenizer).__module__.startswith("transformers.")
    return ours and tokenizer.is_fast and not (chat and "strftime" in str(tokenizer.chat_template))


def _tokenizer(tokenizer: "PreTrainedTokenizerBase") -> Mapping[str, Any]:
    """All of its state that may reach tokens; where it was read from is none of it."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # set anew by every call
    backend.pop("truncation", None)
    backend.pop("padding", None)
    plain = {name: value for name, value in vars(tokenizer).items() if isinstance(value, bool | int | float | str)}
    plain.pop("name_or_path", None)
    return {
        "class": type(tokenizer).__qualname__,
        "backend": backend,
        "plain": plain,
        "special": {name: str(value) for name, value in tokenizer.special_tokens_map.items()},
        "ids": [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id],
        "template": str(tokenizer.chat_template),
        "limit": str(tokenizer.model_max_length),
    }
