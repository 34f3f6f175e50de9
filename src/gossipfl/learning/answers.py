"""What a model answers to the prompts of held-out records, and how near that is to the responses: `task.metrics`.

prompts, sorted by length ── micro-batches, padded at the beginning (an encoder's at the end) ── greedy ──> answers

A pass a token: for the last evaluation of a run and for `gossipfl evaluate`, not for those on the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.answer_metrics import METRICS, check_installed
from gossipfl.learning.context import context_of
from gossipfl.learning.continuing import continue_greedily, has_encoder
from gossipfl.learning.data import Examples
from gossipfl.learning.data.kinds.pairs import encoder_ids
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.tokens import prompt_ids
from gossipfl.learning.evaluation import Answering, Evaluation, evaluating

Ids = Sequence[int]


def check_answering(module: nn.Module, task: TaskConfig) -> None:
    """Before training, whether the model can answer after it.

    Raises:
        ConfigError: answers would not fit into its context, or an extra is not installed.
    """
    if not task.metrics:
        return
    check_installed(task.metrics)
    most = context_of(module)
    if most is not None and task.max_new_tokens >= most + has_encoder(module):
        raise ConfigError(f"task.max_new_tokens {task.max_new_tokens} leaves no room in the model's {most} tokens")


def with_answers(found: Evaluation, adapted: Answering, examples: Examples, *, micro_batch: int) -> Evaluation:
    """An evaluation with `task.metrics` among its measures; as it is without metrics or examples."""
    metrics = adapted.experiment.task.metrics
    if not metrics or not examples.records:
        return found
    said = answers(adapted, examples.records, micro_batch=micro_batch)
    wanted = [record.text for record in examples.records]
    return replace(found, measures={**found.measures, **{name: METRICS[name](said, wanted) for name in metrics}})


def answers(adapted: Answering, records: Sequence[Record], *, micro_batch: int) -> list[str]:
    """What the model, as it is now, says to the prompt of each record; greedy, without special tokens.

    Raises:
        ModelError: the model has no tokenizer.
    """
    tokenizer = adapted.tokenizer
    if tokenizer is None:
        raise ModelError("task.metrics: the model has no tokenizer to say anything with")
    prompts = [_prompt(adapted, record) for record in records]
    found = [""] * len(records)
    with evaluating(adapted.module):
        for places in _batches([len(prompt) for prompt in prompts], micro_batch):
            rows = _said(adapted, [prompts[place] for place in places])
            for place, ids in zip(places, rows.tolist(), strict=True):
                kept = ids[: ids.index(tokenizer.eos_token_id)] if tokenizer.eos_token_id in ids else ids
                found[place] = str(tokenizer.decode(kept, skip_special_tokens=True)).strip()
    return found


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places by length, so that little is padded."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    yield from (order[first : first + most] for first in range(0, len(order), most))


def _prompt(adapted: Answering, record: Record) -> list[int]:
    """As training feeds it, cut to what leaves room for an answer."""
    task, tokenizer = adapted.experiment.task, adapted.tokenizer
    assert tokenizer is not None  # noqa: S101  # `answers` has asked
    limit = min(task.max_length, tokenizer.model_max_length)
    if has_encoder(adapted.module):
        return encoder_ids(tokenizer, [record.prompt or ""], limit)[0]
    context = context_of(adapted.module)
    room = limit - 1 if context is None else min(limit - 1, context - task.max_new_tokens)
    return prompt_ids(tokenizer, record.prompt or "", chat_template=task.chat_template)[-max(1, room) :]


def _said(adapted: Answering, prompts: Sequence[Ids]) -> Tensor:
    """(rows, tokens) ids behind the prompts."""
    tokenizer, module = adapted.tokenizer, adapted.module
    assert tokenizer is not None  # noqa: S101  # `answers` has asked
    longest, at_end = max(map(len, prompts)), has_encoder(module)
    device = next(module.parameters()).device
    pad = tokenizer.pad_token_id or 0
    ids = torch.full((len(prompts), longest), pad, device=device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        place = slice(0, len(prompt)) if at_end else slice(longest - len(prompt), longest)
        ids[row, place], mask[row, place] = torch.tensor(prompt, device=device), 1
    return continue_greedily(module, ids, most=adapted.experiment.task.max_new_tokens, pad=pad, mask=mask)
