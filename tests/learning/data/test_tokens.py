from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.data.examples import IGNORED, make_examples
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.tokens import join, prompt_ids, tokenize

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ENDS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=30).filter(str.strip)


def byte_tokenizer(*, template: str | None = None, begins: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE with merges that reach over spaces' neighbors; text survives it exactly."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["what is it? it is what it is!", "the answer is an answer"] * 4, trainer)
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ENDS)
    fast.chat_template = template
    return fast


TOKENIZERS = {
    "template": byte_tokenizer(template=TEMPLATE),
    "plain": byte_tokenizer(),
    "plain with a first token": byte_tokenizer(begins=True),
}


def lm(**more: Any) -> TaskConfig:
    return TaskConfig.model_validate({"kind": "causal-lm", "max_length": 500, **more})


def counted_text(tokenizer: PreTrainedTokenizerFast, record: Record, task: TaskConfig) -> str:
    """What the loss is taken on, decoded."""
    examples = make_examples([record], [[0]], tokenizer=tokenizer, task=task)
    (rows,) = examples.rows_in_order(1)
    labels = rows.tensors["labels"][0]
    return str(tokenizer.decode(labels[labels != IGNORED]))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(prompt=TEXT, response=TEXT)
def test_the_loss_is_on_the_response_and_its_end_only(name: str, prompt: str, response: str) -> None:
    record = Record(response, prompt=prompt)

    assert counted_text(TOKENIZERS[name], record, lm()) == response + "</s>"


@pytest.mark.parametrize("name", TOKENIZERS)
@given(prompt=TEXT, response=TEXT)
def test_generation_starts_from_the_ids_seen_in_training(name: str, prompt: str, response: str) -> None:
    tokenizer = TOKENIZERS[name]
    row = tokenize([Record(response, prompt=prompt)], tokenizer, lm())

    assert np.asarray(row.ids)[: row.loss_from[0]].tolist() == prompt_ids(tokenizer, prompt, chat_template=True)


def test_the_chat_template_can_be_left_aside() -> None:
    tokenizer = TOKENIZERS["template"]

    assert tokenizer.decode(prompt_ids(tokenizer, "what", chat_template=True)) == "<|user|>what</s>\n<|assistant|>"
    assert tokenizer.decode(prompt_ids(tokenizer, "what", chat_template=False)) == "what\n"


def test_a_template_that_rewrites_the_conversation_still_gives_the_response() -> None:
    template = "{% if add_generation_prompt %}ask:{{ messages[0].content }}{% else %}told{% endif %}"

    assert counted_text(byte_tokenizer(template=template), Record("it is", prompt="what"), lm()) == "it is</s>"


@given(prompt=st.lists(st.integers(0, 9), min_size=1), response=st.lists(st.integers(10, 19)), limit=st.integers(2, 20))
def test_cutting_keeps_the_response_and_one_token_before_it(prompt: list[int], response: list[int], limit: int) -> None:
    row, start = join(prompt, response, limit)

    assert len(row) == min(limit, len(prompt) + len(response))
    assert row[start:] == response[: limit - 1]
    assert row[:start] == prompt[-start:]
    assert start >= 1


def test_plain_text_ends_with_the_end_token_unless_it_is_cut() -> None:
    tokenizer = TOKENIZERS["plain"]

    whole = tokenize([Record("it is what it is")], tokenizer, lm())
    cut = tokenize([Record("it is what it is")], tokenizer, lm(max_length=3))

    assert tokenizer.decode(whole.ids) == "it is what it is</s>"
    assert len(cut.ids) == 3
    assert np.asarray(cut.ids)[-1] != tokenizer.eos_token_id
    assert whole.loss_from.tolist() == [0]
