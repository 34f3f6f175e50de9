"""`gossipfl generate`: words as they come, and a chat on stdin."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gossipfl.cli.app import main
from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.learning.adapters import attach
from gossipfl.learning.export import export
from gossipfl.learning.models import load_base
from gossipfl.state import AdapterState

WORDS = ("</s>", "<unk>", *(f"w{number}" for number in range(30)))
TEMPLATE = (
    "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}{% if add_generation_prompt %}w1 {% endif %}"
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a tiny model with a context of 32 tokens that can chat."""
    home = tmp_path_factory.mktemp("generate")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        configuration = LlamaConfig(
            vocab_size=32, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
        )
        configuration.bos_token_id = configuration.eos_token_id = 0
        configuration.max_position_embeddings = 32
        model = LlamaForCausalLM(configuration)
        with torch.no_grad():
            for parameter in (each for each in model.parameters() if each.ndim > 1):
                parameter.mul_(15)
        # so that every reply has words
        model.generation_config.suppress_tokens = [0, 1]
        model.save_pretrained(home / "model")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=WORDS[0], unk_token=WORDS[1])
    fast.chat_template = TEMPLATE
    fast.save_pretrained(home / "model")
    experiment = Experiment(
        model=ModelConfig(source=str(home / "model")),
        task=TaskConfig(kind="causal-lm"),
        adapter=AdapterConfig(rank=4),
        privacy=PrivacyConfig(level="none"),
    )
    adapted = attach(load_base(experiment.model, experiment.task, folder=home, seed=0), experiment)
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    export(adapted, AdapterState(adapted.spec, noise), home / "out")
    return home / "out"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, adapter: Path) -> Run:
    def call(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        common = ("generate", "--adapter", adapter, "--max-new-tokens", 5, "--device", "cpu")
        code = main([str(argument) for argument in (*common, *arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_what_is_streamed_is_what_is_printed_at_once_and_in_json(run: Run) -> None:
    code, streamed, _ = run("--prompt", "w3 w4")
    assert code == 0
    at_once = run("--prompt", "w3 w4", "--no-stream")[1]
    words = json.loads(run("--prompt", "w3 w4", "--json")[1])
    assert [line.strip() for line in streamed.splitlines()] == [line.strip() for line in at_once.splitlines()]
    assert set(words) == {"text", "base_text", "adapter_sha256"}
    name = f"adapter {words['adapter_sha256'][:12]}:"
    assert at_once.splitlines() == [name, words["text"], "", "base model:", words["base_text"]]


def test_a_temperature_draws_and_a_seed_repeats(run: Run) -> None:
    def drawn(*arguments: object) -> str:
        return str(json.loads(run("--prompt", "w3", "--json", *arguments)[1])["text"])

    assert drawn("--temperature", 2, "--seed", 1) == drawn("--temperature", 2, "--seed", 1)
    assert len({drawn("--temperature", 2, "--top-p", 1, "--seed", seed) for seed in range(4)}) > 1
    assert drawn("--temperature", 1e-4) == drawn()


def test_a_chat_reads_a_message_a_line_and_remembers(run: Run) -> None:
    code, out, err = run("--json", "--system", "w9", stdin="w3 w4\n\n  w5  \n/exit\nw6\n")
    messages = json.loads(out)["messages"]
    assert (code, err) == (0, "")
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert [messages[place]["content"] for place in (0, 1, 3)] == ["w9", "w3 w4", "w5"]
    replies = [messages[2]["content"], messages[4]["content"]]
    for options in ([], ["--no-stream"]):
        shown = run("--system", "w9", *options, stdin="w3 w4\nw5")[1].splitlines()
        assert [line.strip() for line in shown] == replies
    forgotten = json.loads(run("--json", "--system", "w9", stdin="w3 w4\n/new\nw5")[1])["messages"]
    anew = json.loads(run("--json", "--system", "w9", stdin="w5")[1])["messages"]
    assert forgotten[3:] == anew[1:]


def test_a_long_chat_goes_on_with_a_notice_and_a_long_message_with_an_error(run: Run) -> None:
    long, longer = "w3 " * 12, "w3 " * 40
    code, out, err = run("--chat", stdin=f"{long}\n{long}\n{longer}\n{long}\n")
    assert code == 0
    assert len(out.splitlines()) == 3
    notices = err.splitlines()
    assert [line.partition(":")[0] for line in notices] == ["history", "error", "history"]
    assert "exceed the model's context of 32" in notices[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-chat",), "--no-chat continues plain text: give it a --prompt"),
        (("--prompt", "w3", "--system", "w9"), "system: it stands in a chat template"),
        (("--prompt", "w3", "--top-p", "0.5"), "top_p: 0.5 is for sampling"),
        (("--prompt", "w3", "--temperature", "-1"), "temperature: -1"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert message in line
