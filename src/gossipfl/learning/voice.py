"""A language model that answers: token ids in, text out, word by word to whoever listens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase
from transformers.generation.streamers import TextStreamer

from gossipfl.core.rng import derive_seed
from gossipfl.errors import ModelError
from gossipfl.learning.context import context_of
from gossipfl.learning.continuing import GREEDY, Sampling, continue_one, has_encoder

Hear = Callable[[str], None]
"""Takes pieces of a text as they come, some of them empty; together they are the text, with blanks around it."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A model that continues.

    Attributes:
        module: a language model of transformers, in evaluation mode, with or without an adapter.
        tokenizer: its own.
        device: where the module lies.
        max_new_tokens: longest continuation.
        sampling: how tokens are chosen.
    """

    module: nn.Module
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    max_new_tokens: int = 100
    sampling: Sampling = GREEDY

    def fits(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens leaves room for a whole continuation."""
        limit = context_of(self.module)
        # an encoder and a decoder have a context each
        join = max if has_encoder(self.module) else sum
        return limit is None or join([tokens, self.max_new_tokens]) <= limit

    def check_room(self, tokens: int) -> None:
        """Refuses a prompt that is too long.

        Raises:
            ModelError: it does not fit the model's context together with `max_new_tokens`.
        """
        if not self.fits(tokens):
            raise ModelError(
                f"prompt: {tokens} tokens and max_new_tokens {self.max_new_tokens} exceed the model's context of "
                f"{context_of(self.module)}"
            )

    def say(self, ids: Sequence[int], *, turn: int = 0, hear: Hear | None = None) -> str:
        """The text behind some token ids, without blanks around it.

        Args:
            turn: of a conversation: each draws anew.
            hear: told the text as it comes.
        """
        seed = derive_seed(self.sampling.seed, purpose="generate", step=turn)
        out = continue_one(
            self.module,
            torch.tensor([list(ids)], device=self.device),
            most=self.max_new_tokens,
            tokenizer=self.tokenizer,
            sampling=replace(self.sampling, seed=seed),
            streamer=None if hear is None else _Told(self.tokenizer, hear),
        )
        return str(self.tokenizer.decode(out, skip_special_tokens=True)).strip()


class _Told(TextStreamer):  # type: ignore[misc]  # a library without types
    """The library's streamer, which prints, telling somebody instead."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, hear: Hear) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._hear = hear

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Whole words; with the library's arguments."""
        self._hear(text)
