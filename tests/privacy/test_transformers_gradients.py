"""Unit gradients of the architectures we promise, on tiny random configurations, against one-by-one gradients."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from gossipfl.errors import PrivacyError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.mechanisms import MechanismParts, Rows, Units, build_mechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.self_check import check_per_sample_gradients
from gossipfl.privacy.sources import Engine
from gossipfl.privacy.streams import SecretStream

VOCABULARY, UNITS, LENGTH, CLIP = 31, 5, 7, 0.05
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
Task = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]


def data(units: Units) -> Rows:
    """Unit u has 1 + u mod 2 rows of its own length, padded."""
    rows, numbers = [], []
    for place, unit in enumerate(units):
        for copy in range(1 + int(unit) % 2):
            rows.append(np.random.default_rng([int(unit), copy]).integers(1, VOCABULARY, LENGTH))
            rows[-1][LENGTH - int(unit) % 4 :] = 0
            numbers.append(place)
    tokens = torch.from_numpy(np.stack(rows))
    return Rows({"input_ids": tokens, "attention_mask": (tokens > 0).long()}, torch.tensor(numbers))


def load(units: Units) -> Iterator[Rows]:
    for start in range(0, len(units), 3):
        yield data(units[start : start + 3])


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    each = nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none", ignore_index=0)
    return each.sum(-1) / (targets > 0).sum(-1)


def classification(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    logits = module(**tensors).logits
    return nn.functional.cross_entropy(logits, tensors["input_ids"][:, 0] % 3, reduction="none")


def causal(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    return token_losses(module(**tensors).logits[:, :-1], tensors["input_ids"][:, 1:])


def translation(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    logits = module(**tensors, decoder_input_ids=tensors["input_ids"].flip(1)).logits
    return token_losses(logits, tensors["input_ids"])


def bert() -> nn.Module:
    module: nn.Module = BertForSequenceClassification(
        BertConfig(vocab_size=VOCABULARY, num_labels=3, max_position_embeddings=16, **SMALL)
    )
    return module


def llama() -> nn.Module:
    module: nn.Module = LlamaForCausalLM(
        LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=1, max_position_embeddings=16, **SMALL)
    )
    return module


def gpt2() -> nn.Module:
    module: nn.Module = GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    )
    return module


def t5() -> nn.Module:
    module: nn.Module = T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0
        )
    )
    return module


def lora(module: nn.Module, *targets: str, task: TaskType | None = None) -> nn.Module:
    adapted: nn.Module = get_peft_model(module, LoraConfig(r=2, target_modules=list(targets), task_type=task))
    return adapted


class Core(nn.Module):
    """A linear layer with the core adapter beside it: x ─ V (frozen) ─ R (trained) ─ U (frozen)."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.V = nn.Linear(base.in_features, 3, bias=False)
        self.R = nn.Linear(3, 3, bias=False)
        self.U = nn.Linear(3, base.out_features, bias=False)
        for frozen in (self.base, self.V, self.U):
            frozen.requires_grad_(requires_grad=False)
        nn.init.zeros_(self.R.weight)

    def forward(self, x: Tensor) -> Tensor:
        adapted: Tensor = self.base(x) + self.U(self.R(self.V(x)))
        return adapted


def core() -> nn.Module:
    module = bert()
    module.requires_grad_(requires_grad=False)
    for layer in list(module.modules()):
        for name in ("query", "value"):
            if isinstance(getattr(layer, name, None), nn.Linear):
                setattr(layer, name, Core(getattr(layer, name)))
    module.get_submodule("classifier").requires_grad_(requires_grad=True)
    return module


CASES: dict[str, tuple[Callable[[], nn.Module], Task]] = {
    "bert lora and head": (lambda: lora(bert(), "query", "value", task=TaskType.SEQ_CLS), classification),
    "bert core and head": (core, classification),
    "bert full": (bert, classification),
    "llama lora": (lambda: lora(llama(), "q_proj", "v_proj"), causal),
    "llama full": (llama, causal),
    "gpt2 lora": (lambda: lora(gpt2(), "c_attn"), causal),
    "gpt2 full, tied head": (gpt2, causal),
    "t5 lora": (lambda: lora(t5(), "q", "v"), translation),
}


def built(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = make()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def expected(module: nn.Module, task: Task) -> list[Tensor]:
    """Expected-batch mean of clipped unit gradients, one unit at a time."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    total = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in parameters]
    module.eval()
    for unit in range(UNITS):
        loss = task(module, data(np.array([unit])).tensors).mean()
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        gradient = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
        factor = min(1.0, CLIP / float(torch.cat([g.flatten() for g in gradient]).norm()))
        total = [sum_ + factor * g for sum_, g in zip(total, gradient, strict=True)]
    return [sum_ / UNITS for sum_ in total]


@pytest.mark.parametrize("case", CASES)
def test_the_step_is_that_of_one_by_one_gradients(case: str) -> None:
    make, task = CASES[case]
    module = built(make)
    check_per_sample_gradients(module, task, data(np.arange(UNITS)))
    plan = Plan("example", 1.0, 1e-12, CLIP, 1e-5, 1, UNITS, None, float("inf"), "prv")
    secret = SecretStream()
    parts = MechanismParts(module, task, load, UNITS, UNITS, plan, FreeAccount(), secret, secret)
    build_mechanism("example", parts).gradient(0)
    parameters: list[Any] = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter, wanted in zip(parameters, expected(module, task), strict=True):
        assert float((parameter.grad - wanted).abs().max()) < 1e-5
    assert sum(float(parameter.grad.norm()) > 0 for parameter in parameters) > 0.8 * len(parameters)


def test_an_architecture_without_a_batch_dimension_somewhere_is_refused_not_trained_wrongly() -> None:
    with pytest.raises(PrivacyError, match="per-sample gradients"):
        check_per_sample_gradients(built(t5), translation, data(np.arange(UNITS)))


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_low_precision_passes_the_check(dtype: torch.dtype, engine: Engine) -> None:
    module = built(core)
    for parameter in module.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)

    def task(inner: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return classification(inner, tensors).float()

    check_per_sample_gradients(module, task, data(np.arange(UNITS)), engine)
