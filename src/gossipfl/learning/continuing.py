"""Continuation of token ids: greedy, the same words every time, or sampled from a seed."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from gossipfl.errors import ConfigError
from gossipfl.learning.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.generation.streamers import BaseStreamer

TOP_P = 0.95
"""Where something is sampled and nobody says otherwise: the unlikely tail is where texts derail."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: 0: always the likeliest (greedy); 1: as likely as the model says; above: more at random.
        top_p: drawn from the likeliest tokens that together have this probability; None: `TOP_P`.
        seed: equal ones draw equal texts.

    Raises:
        ConfigError: a value out of its range, or `top_p` where nothing is drawn.
    """

    temperature: float = 0.0
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature: {self.temperature:g}, 0 or more was expected")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p: {self.top_p:g}, above 0 and at most 1 was expected")
        if self.top_p is not None and not self.temperature:
            raise ConfigError(f"top_p: {self.top_p:g} is for sampling; temperature 0 always takes the likeliest token")

    def options(self) -> dict[str, Any]:
        """For `generate` of transformers."""
        if not self.temperature:
            return {"do_sample": False}
        # the model's own top_k, if its files name one, would cut off on top
        return {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p or TOP_P, "top_k": 0}


GREEDY = Sampling()


@torch.no_grad()
def continue_greedily(
    module: nn.Module, prompts: Tensor, *, most: int, pad: int | None, mask: Tensor | None = None
) -> Tensor:
    """(rows, at most `most`) ids behind the prompts, or what a decoder says to them; a row that has ended is filled up.

    Args:
        module: a language model of transformers, in evaluation mode, with or without an adapter.
        prompts: (rows, tokens) ids, on the model's device.
        most: tokens at most.
        pad: id that fills up; None: the model's own.
        mask: (rows, tokens) 0 where a prompt is padded: at its beginning, an encoder's anywhere; None: nowhere.
    """
    with quiet():
        out: Tensor = cast("PreTrainedModel", module).generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts) if mask is None else mask,
            do_sample=False,
            num_beams=1,
            max_new_tokens=most,
            pad_token_id=pad,
        )
    # a decoder begins anew, with one token that begins all texts
    return out[:, 1 if has_encoder(module) else prompts.shape[1] :]


def has_encoder(module: nn.Module) -> bool:
    """An encoder reads the prompt, and a decoder says the rest."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))


@torch.no_grad()
def continue_one(
    module: nn.Module,
    prompt: Tensor,
    *,
    most: int,
    tokenizer: "PreTrainedTokenizerBase",
    sampling: Sampling = GREEDY,
    streamer: "BaseStreamer | None" = None,
) -> Tensor:
    """(at most `most`,) ids behind one prompt, or what a decoder says to it; they end where model or tokenizer says.

    Args:
        prompt: (1, tokens) ids, on the model's device.
        streamer: told every token as it comes.

    Guarantees:
        Nothing is kept from one call to the next; torch's generators of the device are as they were.
    """
    devices = [prompt.device] if prompt.device.type == "cuda" else []
    with quiet(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(sampling.seed)
        if not _can_generate(module):
            return _token_by_token(module, prompt, range(most), tokenizer.eos_token_id, sampling, streamer)
        out: Tensor = cast("PreTrainedModel", module).generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            num_beams=1,
            max_new_tokens=most,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=_ends(module, tokenizer),
            streamer=streamer,
            **sampling.options(),
        )
    return out[0, 1 if has_encoder(module) else prompt.shape[1] :]


def _can_generate(module: nn.Module) -> bool:
    """A model of transformers; PEFT's wrapper says so of everything."""
    wrapper: Any = module
    inner = wrapper.get_base_model() if hasattr(module, "get_base_model") else module
    return hasattr(inner, "generate")


def _token_by_token(  # all that decides the words
    module: nn.Module,
    prompt: Tensor,
    turns: range,
    end: int | None,
    sampling: Sampling,
    streamer: "BaseStreamer | None",
) -> Tensor:
    """Of plain torch, which keeps nothing from one token to the next."""
    ids = prompt
    if streamer is not None:
        streamer.put(ids.cpu())
    for _ in turns:
        word = _next(module(input_ids=ids).logits[:, -1].float(), sampling)
        ids = torch.cat([ids, word], dim=1)
        if streamer is not None:
            streamer.put(word[0].cpu())
        if end is not None and int(word) == end:
            break
    if streamer is not None:
        streamer.end()
    return ids[0, prompt.shape[1] :]


def _next(logits: Tensor, sampling: Sampling) -> Tensor:
    """(1, 1) the next token."""
    if not sampling.temperature:
        return logits.argmax(-1, keepdim=True)
    likely, words = (logits / sampling.temperature).softmax(-1).sort(descending=True)
    # the likeliest one always stays
    likely = likely.masked_fill(likely.cumsum(-1) - likely >= (sampling.top_p or TOP_P), 0.0)
    return words.gather(-1, torch.multinomial(likely, 1))


def _ends(module: nn.Module, tokenizer: "PreTrainedTokenizerBase") -> list[int] | None:
    """Of the model's files and of the tokenizer, which ends what was trained on: they may name different ones."""
    own = getattr(getattr(module, "generation_config", None), "eos_token_id", None)
    several = own if isinstance(own, list) else [own]
    return sorted({end for end in (*several, tokenizer.eos_token_id) if end is not None}) or None
