"""Text from an exported adapter, beside what the base model alone says; greedy unless it is to be drawn."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gossipfl.config.training import TrainingConfig
from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.continuing import GREEDY, Sampling
from gossipfl.learning.conversation import chat_ids, check_chat, opening
from gossipfl.learning.data.tokens import prompt_ids
from gossipfl.learning.device import choose_device
from gossipfl.learning.exported import Exported, ExportNote, load_exported, read_note
from gossipfl.learning.tasks import KINDS
from gossipfl.learning.voice import Voice

_SAYING = sorted(name for name, kind in KINDS.items() if kind.says_text)
"""Kinds of task whose models say text."""
_LISTED = " or ".join([", ".join(_SAYING[:-1]), _SAYING[-1]])
BASE = "base model"
"""What the base model is called to whoever listens."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A continuation.

    Attributes:
        text: with the adapter, without the prompt.
        base_text: the base model's, from the same prompt.
        adapter_sha256: of the weights file of the export.
    """

    text: str
    base_text: str
    adapter_sha256: str


@dataclass(frozen=True, slots=True)
class Terms:
    """How to continue.

    Attributes:
        max_new_tokens: longest continuation.
        device: auto (CUDA when there is one), cpu, cuda, cuda:1.
        sampling: how tokens are chosen.
        chat: through the tokenizer's chat template; None: as in training, and plain text where it was plain text.
        system: of a chat: what stands before the prompt.
        code: the `module:callable` that may be imported, where the folder's model is one.
    """

    max_new_tokens: int = 100
    device: str = "auto"
    sampling: Sampling = GREEDY
    chat: bool | None = None
    system: str | None = None
    code: str | None = None


def generate(
    adapter_dir: Path,
    prompt: str,
    *,
    max_new_tokens: int = 100,
    device: str = "auto",
    chat: bool | None = None,
    code: str | None = None,
) -> Generation:
    """Continues a prompt with and without the adapter, greedily; see `generate_on`."""
    terms = Terms(max_new_tokens=max_new_tokens, device=device, chat=chat, code=code)
    return generate_on(adapter_dir, prompt, terms)


def generate_on(
    adapter_dir: Path, prompt: str, terms: Terms, *, hear: Callable[[str, str], None] | None = None
) -> Generation:
    """Continues a prompt with and without the adapter.

    Args:
        adapter_dir: what `export` wrote.
        hear: told both texts as they come, piece by piece: who speaks (`adapter HASH`, then `BASE`), and what.

    Raises:
        ModelError: no export, not of a task that says text, made on another base model, the prompt is too long, or it
            is to go through a chat template and there is none.
        ConfigError: no such device here, or a system's say without a chat.
    """
    exported, voice = open_voice(adapter_dir, terms, with_base=True)
    ids = _prompt_ids(voice, prompt, exported.note, terms)
    voice.check_room(len(ids))
    name = f"adapter {exported.sha256[:12]}"
    text = voice.say(ids, hear=None if hear is None else partial(hear, name))
    with exported.base_alone() as base:
        base_text = replace(voice, module=base).say(ids, hear=None if hear is None else partial(hear, BASE))
    return Generation(text, base_text, exported.sha256)


def open_voice(adapter_dir: Path, terms: Terms, *, with_base: bool = False) -> tuple[Exported, Voice]:
    """An export that can speak.

    Args:
        with_base: see `load_exported`.

    Raises:
        ModelError: no export, not of a task that says text, or made on another base model.
        ConfigError: no such device here.
    """
    about = read_note(adapter_dir, code=terms.code)
    if about.task.kind not in _SAYING:
        raise ModelError(f"adapter: {adapter_dir} was trained for {about.task.kind}; generate needs {_LISTED}")
    device = choose_device(TrainingConfig(device=terms.device))
    exported = load_exported(adapter_dir, device, with_base=with_base, code=terms.code)
    if exported.tokenizer is None:
        raise ModelError(f"adapter: {about.model.source!r} has no tokenizer; generate needs a model of text")
    return exported, Voice(exported.module, exported.tokenizer, device, terms.max_new_tokens, terms.sampling)


def _prompt_ids(voice: Voice, prompt: str, about: ExportNote, terms: Terms) -> list[int]:
    if terms.chat:
        check_chat(voice)
    tokenizer, encoded = voice.tokenizer, about.task.kind == "seq2seq-lm"
    as_trained = about.prompted and about.task.chat_template
    templated = not encoded and bool(tokenizer.chat_template) and (as_trained if terms.chat is None else terms.chat)
    if terms.system is not None and not templated:
        raise ConfigError("system: it stands in a chat template; with a prompt, add --chat")
    if templated:
        ids = chat_ids(tokenizer, [*opening(terms.system), {"role": "user", "content": prompt}])
    elif encoded:
        ids = list(tokenizer(prompt)["input_ids"]) if prompt else []
    elif terms.chat is None and about.prompted:
        ids = prompt_ids(tokenizer, prompt, chat_template=False)
    else:
        ids = list(tokenizer(prompt)["input_ids"])
        if ids and ids[-1] == tokenizer.eos_token_id:
            # some tokenizers end every text, and after the end nothing follows
            ids.pop()
    if not ids:
        raise ModelError("prompt: it is empty; at least one token is needed")
    return ids
