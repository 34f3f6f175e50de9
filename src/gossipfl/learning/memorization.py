"""What a language model recites of passages that it was trained on.

    [ … prompt ][ 50 tokens ] …      the prompt ends at a random split point of the passage, in several lengths
                └─ greedy continuation: equal? BLEU?

Source: Bossy et al. (2025), arXiv 2502.05087; BLEU of verbatim memorization: Ippolito et al. (2022), arXiv 2210.17546.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU
from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.core.rng import generator
from gossipfl.errors import DataError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.continuing import continue_greedily
from gossipfl.learning.data import NodeRecords
from gossipfl.learning.data.tokens import tokenize
from gossipfl.learning.evaluation import evaluating

SHORTEST = 4
"""Tokens that are left of a prompt when it is scaled down."""
ROOM = 0.75
"""Of what a context has beside the continuation, the part that the longest prompt may take: the rest is for the split
point to be drawn in."""
AT_ONCE = 32
"""Prompts of one pass."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Passage:
    """A canary as the model reads it.

    Attributes:
        ids: (tokens,) of its record, cut as in training.
        split: where the continuation begins.
        copies: how often its owner trains on it in an epoch.
    """

    ids: Ids
    split: int
    copies: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A passage asked for by one prompt.

    Attributes:
        passage: its number.
        copies: see `Passage`.
        prompt: tokens of the prompt.
        exact: every token of the continuation is that of the passage.
        bleu: 0 to 1, of the continuation against the passage's.
    """

    passage: int
    copies: int
    prompt: int
    exact: bool
    bleu: float


def prompt_lengths(experiment: Experiment) -> tuple[int, ...]:
    """Tokens of each prompt: as wished, or all of them in proportion where the context is too small for the longest.

    Raises:
        DataError: the context has no room for a prompt before the continuation.
    """
    wished, limit = experiment.memorization, experiment.task.max_length
    room = int(ROOM * (limit - wished.continuation))
    if room < SHORTEST:
        raise DataError(
            f"task.max_length: {limit} tokens leave no prompt before memorization.continuation {wished.continuation}"
        )
    scale = min(1.0, room / max(wished.prompts))
    return tuple(dict.fromkeys(max(SHORTEST, int(length * scale)) for length in wished.prompts))


def passages_of(experiment: Experiment, owner: NodeRecords, adapted: Adapted) -> list[Passage]:
    """The owner's canaries, each with a split point drawn by the experiment's seed.

    Raises:
        DataError: one is too short for the longest prompt and the continuation.
    """
    if adapted.tokenizer is None:
        raise DataError("data.canaries: a model of numbers recites no text; task.kind causal-lm was expected")
    chosen = [owner.records[canary.row] for canary in owner.canaries]
    tokens = tokenize(chosen, adapted.tokenizer, experiment.task)
    longest, behind = max(prompt_lengths(experiment)), experiment.memorization.continuation
    found = []
    for place, canary in enumerate(owner.canaries):
        ids = np.asarray(tokens.ids)[tokens.starts[place] : tokens.starts[place + 1]].astype(np.int64)
        if len(ids) < longest + behind:
            raise DataError(
                f"data.canaries.characters: a passage comes to {len(ids)} tokens; {longest + behind} were expected, "
                "the longest prompt and the continuation"
            )
        draw = generator(experiment.seed, purpose=f"split point {chosen[place].tag.hex()}")
        found.append(Passage(ids, int(draw.integers(longest, len(ids) - behind, endpoint=True)), canary.copies))
    return found


def attack(adapted: Adapted, passages: Sequence[Passage]) -> list[Attempt]:
    """Asks for every passage by every prompt.

    Args:
        adapted: with the state that is attacked written into it.
    """
    device = next(adapted.module.parameters()).device
    asked = [(number, length) for length in prompt_lengths(adapted.experiment) for number in range(len(passages))]
    attempts = []
    with evaluating(adapted.module):
        for length in dict.fromkeys(length for _, length in asked):
            for first in range(0, len(passages), AT_ONCE):
                part = range(first, min(first + AT_ONCE, len(passages)))
                prompts = np.stack([passages[n].ids[passages[n].split - length : passages[n].split] for n in part])
                said = _said(adapted, adapted.module, torch.from_numpy(prompts).to(device))
                attempts += [_attempt(adapted, passages, n, length, out) for n, out in zip(part, said, strict=True)]
    return attempts


def _said(adapted: Adapted, module: nn.Module, prompts: torch.Tensor) -> list[Ids]:
    """What follows each prompt, up to and with the end of the text."""
    tokenizer, most = adapted.tokenizer, adapted.experiment.memorization.continuation
    pad, end = (None, None) if tokenizer is None else (tokenizer.pad_token_id, tokenizer.eos_token_id)
    rows: Ids = continue_greedily(module, prompts, most=most, pad=pad).cpu().numpy()
    ends = [np.flatnonzero(row == end) for row in rows]
    return [row[: places[0] + 1] if len(places) else row for row, places in zip(rows, ends, strict=True)]


def _attempt(adapted: Adapted, passages: Sequence[Passage], number: int, length: int, said: Ids) -> Attempt:
    passage, behind = passages[number], adapted.experiment.memorization.continuation
    truth = passage.ids[passage.split : passage.split + behind]
    return Attempt(number, passage.copies, length, np.array_equal(said, truth), bleu(said, truth))


def bleu(said: Ids, truth: Ids) -> float:
    """Sentence BLEU over tokens, 0 to 1: the geometric mean of the n-grams that agree, n = 1 to 4.

    Source: Papineni et al. (2002), as sacreBLEU counts it, with exponential smoothing of orders without a hit.
    """
    words = [" ".join(map(str, ids.tolist())) for ids in (said, truth)]
    return float(_BLEU.sentence_score(words[0], [words[1]]).score) / 100


_BLEU = BLEU(tokenize="none", effective_order=True, force=True)
