"""Which of several answers is the likeliest to a causal model.

    score(choice) = mean, or sum, over its tokens of log p(token | question, tokens before)      answer = best score
    loss(row)     = causal-lm's of the right choice

It is trained to say the right answer, and judged by whether it finds another one likelier: a pass a record in training,
and no row of a batch depends on another, so that gradients of single records are what they are for text. The softmax
over the scores (L_LN of Liu et al.) would take a pass a choice and is not trained. The token that ends an answer counts
as part of it: no answer is preferred for being the beginning of another.

Source: Brown et al. (2020), arXiv 2005.14165, section 2.4; Liu et al. (2022), arXiv 2205.05638, whose L_LM is the loss.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.tasks.causal_lm import CAUSAL
from gossipfl.learning.tasks.seam import Tensors

CHOICES = ("choice_ids", "choice_mask", "choice_labels")
"""Tensors (rows, choices, tokens) of `ChoiceRows.judged`; a choice without labels is none."""


def _judge(module: nn.Module, tensors: Tensors, task: TaskConfig) -> tuple[Tensor, Tensor, Tensor]:
    """See `Kind.judge`: one question a row."""
    scored = [_scored(module, [tensors[name][:, place] for name in CHOICES]) for place in range(_most(tensors))]
    means, counts = (torch.stack(parts, dim=1) for parts in zip(*scored, strict=True))
    wanting = means if task.choice_score == "mean" else means * counts
    said = wanting.masked_fill(counts == 0, torch.inf).argmin(1)
    right = tensors["right"]
    return means.gather(1, right[:, None])[:, 0], torch.ones_like(right), (said == right).long()


def _most(tensors: Tensors) -> int:
    return int(tensors[CHOICES[0]].shape[1])


def _scored(module: nn.Module, choice: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(rows,) mean of −log p over the tokens of one choice of each row, and how many they are."""
    ids, mask, labels = choice
    logits = CAUSAL.logits(module, {"input_ids": ids, "attention_mask": mask})
    return CAUSAL.lose(logits, labels), CAUSAL.count(logits, labels)[0]


CHOOSING = replace(CAUSAL, judge=_judge)
