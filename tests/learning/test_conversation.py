"""A chat: every turn is what the whole conversation calls for, cut to the context, heard as it comes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.continuing import Sampling, continue_greedily
from gossipfl.learning.conversation import Conversation, chat_ids
from gossipfl.learning.export import export
from gossipfl.learning.generation import BASE, Terms, generate, generate_on, open_voice
from gossipfl.learning.voice import Voice
from gossipfl.state import AdapterState

TEMPLATE = (
    "{% for m in messages %}{{ m.role }} {{ m.content }} </s> {% endfor %}{% if add_generation_prompt %}w1 {% endif %}"
)
WITHOUT_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + TEMPLATE
MOST = 6


@pytest.fixture(scope="module")
def templated(tiny_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, of a context of 64 tokens, that says many words; its tokenizer has a chat template."""
    folder = tmp_path_factory.mktemp("chat") / "llama"
    shutil.copytree(tiny_folders["llama"], folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for parameter in (each for each in model.parameters() if each.ndim > 1):
            parameter.mul_(15)
    model.generation_config.suppress_tokens = [0, 1, 2]
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def exported(templated: Path, adapted_of: Callable[..., Adapted], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that says other things than the base model."""
    adapted = adapted_of(str(templated), task="causal-lm", targets=("q_proj", "v_proj", "o_proj"))
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    folder = tmp_path_factory.mktemp("exported")
    for name, merge in (("adapter", False), ("merged", True)):
        export(adapted, AdapterState(adapted.spec, noise), folder / name, merge=merge)
    return folder / "adapter"


@pytest.fixture
def voice(exported: Path) -> Voice:
    return open_voice(exported, Terms(max_new_tokens=MOST, device="cpu"))[1]


def alone(voice: Voice, messages: list[dict[str, str]]) -> str:
    """What a model that has never heard anything replies."""
    ids = torch.tensor([chat_ids(voice.tokenizer, messages)])
    (out,) = continue_greedily(voice.module, ids, most=MOST, pad=voice.tokenizer.pad_token_id)
    return str(voice.tokenizer.decode(out, skip_special_tokens=True)).strip()


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_each_reply_is_that_to_the_whole_conversation(voice: Voice) -> None:
    chat = Conversation(voice, system="w9 w9")
    for text in ("w3 w4", "w5", "w6 w7 w8"):
        before = chat.messages
        reply = chat.say(text)
        assert reply == alone(voice, [*before, user(text)])
        assert chat.messages == [*before, user(text), {"role": "assistant", "content": reply}]
    # of the last message alone it would be another: the history was read
    assert reply != alone(voice, [user("w6 w7 w8")])
    chat.forget()
    assert chat.messages == [{"role": "system", "content": "w9 w9"}]


def test_what_no_longer_fits_is_left_out_from_the_front_with_a_notice(voice: Voice) -> None:
    notices: list[str] = []
    chat = Conversation(voice, system="w9", notice=notices.append)
    for number in range(5):
        chat.say(f"w{number} " * 10)
        kept = [message["content"].split()[0] for message in chat.messages if message["role"] == "user"]
        assert len(chat_ids(voice.tokenizer, chat.messages[:-1])) + MOST <= 64
        assert chat.messages[0] == {"role": "system", "content": "w9"}
        assert chat.messages[-1]["content"] == alone(voice, chat.messages[:-1])
        assert kept[-1] == f"w{number}"
    assert kept == ["w3", "w4"] or kept == ["w2", "w3", "w4"]  # noqa: PLR1714
    assert notices
    assert set(notices) == {"history: the oldest 1 turn(s) no longer fit the model's context and are left out"}


def test_a_message_that_is_too_long_leaves_the_history_as_it_was(voice: Voice) -> None:
    chat = Conversation(voice)
    chat.say("w3")
    before = chat.messages
    with pytest.raises(ModelError, match=r"prompt: \d+ tokens and max_new_tokens 6 exceed the model's context of 64"):
        chat.say("w3 " * 60)
    assert chat.messages == before


def test_pieces_are_heard_as_they_come_and_make_the_reply(voice: Voice) -> None:
    pieces: list[str] = []
    reply = Conversation(voice).say("w3 w4", hear=pieces.append)
    assert "".join(pieces).strip() == reply
    assert len([piece for piece in pieces if piece]) > 1


def test_equal_seeds_draw_equal_words_and_others_others(voice: Voice) -> None:
    def drawn(seed: int, temperature: float = 1.5) -> list[str]:
        chat = Conversation(replace(voice, sampling=Sampling(temperature, 1.0, seed)))
        return [chat.say("w3"), chat.say("w3")]

    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first = drawn(1)
    assert torch.equal(torch.rand(3), expected)
    assert drawn(1) == first
    assert drawn(2) != first
    greedy = Conversation(voice)
    assert drawn(1, 1e-4) == [greedy.say("w3"), greedy.say("w3")]


def test_each_turn_draws_anew(voice: Voice) -> None:
    ids = chat_ids(voice.tokenizer, [user("w3")])
    sampled = replace(voice, sampling=Sampling(2.0, 1.0, 0))
    assert len({sampled.say(ids, turn=turn) for turn in range(4)}) > 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": -1.0}, "temperature: -1, 0 or more"),
        ({"temperature": float("nan")}, "temperature: nan"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p: 0, above 0 and at most 1"),
        ({"temperature": 1.0, "top_p": 1.1}, "top_p: 1.1"),
        ({"top_p": 0.9}, "top_p: 0.9 is for sampling"),
    ],
)
def test_sampling_out_of_range_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**values)


def test_a_text_ends_where_the_tokenizer_says_it_ends(voice: Voice) -> None:
    ids = chat_ids(voice.tokenizer, [user("w3")])
    words = voice.say(ids).split()
    voice.tokenizer.eos_token = words[2]
    assert voice.say(ids).split() == words[: words.index(words[2]) + 1]


def test_a_tokenizer_without_a_template_cannot_chat(tmp_path: Path, adapted_of: Callable[..., Adapted]) -> None:
    adapted = adapted_of("llama", task="causal-lm")
    export(adapted, adapted.initial, tmp_path / "out")
    with pytest.raises(ModelError, match="has no chat template"):
        Conversation(open_voice(tmp_path / "out", Terms())[1])
    with pytest.raises(ModelError, match="has no chat template"):
        generate_on(tmp_path / "out", "w3", Terms(chat=True))
    with pytest.raises(ConfigError, match=r"system: it stands in a chat template; with a prompt, add --chat"):
        generate_on(tmp_path / "out", "w3", Terms(system="w9"))


def test_a_template_that_refuses_is_one_line(voice: Voice) -> None:
    voice.tokenizer.chat_template = WITHOUT_SYSTEM
    with pytest.raises(ModelError, match="chat: the tokenizer's template refuses the messages: no system here"):
        Conversation(voice, system="w9").say("w3")
    assert Conversation(voice).say("w3")


@pytest.mark.parametrize("name", ["adapter", "merged"])
def test_both_texts_are_heard_under_their_names(exported: Path, name: str) -> None:
    heard: dict[str, str] = {}

    def hear(speaker: str, piece: str) -> None:
        heard[speaker] = heard.get(speaker, "") + piece

    folder = exported.parent / name
    terms = Terms(max_new_tokens=MOST, device="cpu", chat=True, system="w9")
    found = generate_on(folder, "w3 w4", terms, hear=hear)
    sha256 = json.loads((folder / "gossipfl.json").read_text())["sha256"]
    assert list(heard) == [f"adapter {sha256[:12]}", BASE]
    assert [text.strip() for text in heard.values()] == [found.text, found.base_text]
    assert found.text != found.base_text
    plain = generate(folder, "w3 w4", max_new_tokens=MOST, device="cpu")
    assert plain.text != found.text
