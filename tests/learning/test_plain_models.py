"""A language model of the user's own in plain torch: loaded, adapted, compared, exported, refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_model
from tests.learning import own_models
from tests.learning.test_families import rows
from torch import nn

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import ModelError, PrivacyError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.adapters.summary import summarize
from gossipfl.learning.continuing import Sampling
from gossipfl.learning.export import export
from gossipfl.learning.generation import Terms, generate_on
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.self_check import choose_engine
from gossipfl.state import AdapterState

OWN = "tests.learning.own_models:"
IDS = torch.tensor([[3, 9, 27, 4, 12, 1], [5, 25, 40, 8, 16, 1]])


def adapted_to(name: str, kind: str = "lora", *, seed: int = 0, **adapter: object) -> Adapted:
    experiment = Experiment(
        seed=seed,
        model=ModelConfig(source=OWN + name),
        task=TaskConfig(kind="causal-lm"),
        adapter=AdapterConfig.model_validate({"kind": kind, "rank": 4, **adapter}),
        privacy=PrivacyConfig(level="none"),
    )
    return attach(load_base(experiment.model, experiment.task, folder=Path(), seed=seed), experiment)


def moved(adapted: Adapted) -> AdapterState:
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    state = AdapterState(adapted.spec, adapted.initial.vector + np.float32(0.2) * noise)
    adapted.write(state)
    return state


def logits(module: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        out = module(IDS)
    found: torch.Tensor = getattr(out, "logits", out)
    return found


def test_all_of_it_is_trained_under_its_own_names() -> None:
    adapted = adapted_to("lstm_lm", "full")
    assert [segment.name for segment in adapted.spec.segments] == [
        name for name, _ in own_models.LstmLM().named_parameters()
    ]
    assert str(summarize(adapted.experiment.adapter, adapted.spec)).startswith("adapter: full: 12,")


def test_its_linear_layers_are_adapted_and_its_dropout_is_off() -> None:
    adapted = adapted_to("lstm_lm")
    assert summarize(adapted.experiment.adapter, adapted.spec).layers == ("out",)
    moved(adapted)
    adapted.module.train()
    assert torch.equal(logits(adapted.module), logits(adapted.module))


def test_nodes_with_other_weights_do_not_meet() -> None:
    state = torch.get_rng_state()
    one, same, other = (adapted_to("lstm_lm", seed=seed).components() for seed in (1, 1, 2))
    assert one == same
    assert one["model"] != other["model"]
    assert one["model"] != adapted_to("transformer_lm", seed=1).components()["model"]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["lora", "core", "full"])
def test_the_whole_model_is_read_into_what_the_callable_gives(kind: str, tmp_path: Path) -> None:
    adapted = adapted_to("lstm_lm", kind)
    state = moved(adapted)
    wanted = logits(adapted.module)
    export(adapted, state, tmp_path / "out", merge=True)
    module, _ = own_models.lstm_lm()
    load_model(module, tmp_path / "out" / "model.safetensors")
    torch.testing.assert_close(logits(module.eval()), wanted)
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert about == {"source": OWN + "lstm_lm", "dtype": "float32", "class": "LstmLM"}


def test_a_matrix_that_is_used_twice_is_exported_once(tmp_path: Path) -> None:
    adapted = adapted_to("tied_lm", "full")
    state = moved(adapted)
    wanted = logits(adapted.module)
    export(adapted, state, tmp_path / "out")
    module, _ = own_models.tied_lm()
    load_model(module, tmp_path / "out" / "model.safetensors")
    torch.testing.assert_close(logits(module.eval()), wanted)
    with pytest.raises(ModelError, match=r"its layers are Embedding, LSTM, Linear; out: .*shares its weight"):
        adapted_to("tied_lm", "lora")


@pytest.mark.parametrize("kind", ["lora", "core"])
def test_peft_reads_the_adapter_around_what_the_callable_gives(kind: str, tmp_path: Path) -> None:
    adapted = adapted_to("lstm_lm", kind)
    state = moved(adapted)
    wanted = logits(adapted.module)
    export(adapted, state, tmp_path / "out")
    plain = load_base(adapted.experiment.model, adapted.experiment.task, folder=Path(), seed=0).module
    weights = plain.state_dict()
    module, _ = own_models.lstm_lm()
    module.load_state_dict(weights)
    assert not torch.allclose(logits(module.eval()), wanted, atol=1e-3)
    torch.testing.assert_close(logits(PeftModel.from_pretrained(module, tmp_path / "out").eval()), wanted)


def test_an_encoder_of_torch_is_adapted_where_its_layers_are_called() -> None:
    adapted = adapted_to("transformer_lm")
    assert summarize(adapted.experiment.adapter, adapted.spec).endings == {"linear1": 2, "linear2": 2, "out": 1}
    before = logits(adapted.module)
    vector = moved(adapted).vector.copy()
    for name, place in adapted.spec.slices.items():
        if "linear1" not in name:
            vector[place] = adapted.initial.vector[place]
    adapted.write(AdapterState(adapted.spec, vector))
    assert not adapted.module.training
    # torch's fast path for inference would take the layers' weights past the adapter
    assert not torch.allclose(logits(adapted.module), before, atol=1e-3)
    with pytest.raises(ModelError, match=r"out_proj cannot be adapted: its owner uses the weight without calling"):
        adapted_to("transformer_lm", targets=("out_proj",))


@pytest.mark.parametrize(
    ("name", "kind", "right"),
    [
        ("lstm_lm", "lora", True),
        ("lstm_lm", "core", True),
        ("lstm_lm", "full", False),
        ("private_lstm_lm", "full", True),
        ("transformer_lm", "lora", True),
    ],
)
def test_gradients_of_single_rows_are_right_or_refused(name: str, kind: str, *, right: bool) -> None:
    adapted = adapted_to(name, kind)
    losses = make_task(adapted.experiment.task).losses
    if right:
        assert choose_engine("auto", adapted.module, losses, rows("causal-lm")) in {"grouped", "hooks"}
        return
    with pytest.raises(
        PrivacyError, match=r"layer lstm is torch's LSTM, which gives none: build .* opacus\.layers\.DPLSTM"
    ):
        choose_engine("auto", adapted.module, losses, rows("causal-lm"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", r"cannot be imported: .*nobody.*is its folder in PYTHONPATH on this machine\?"),
        ("NUMBER", "is a Tensor, a callable was expected"),
        ("raising_lm", "failed: FileNotFoundError: my weights are not here"),
        ("alone", "gave LstmLM; a torch module and its tokenizer were expected, or the name of one"),
        ("small_lm", r"gave \(2, 6, 63\) for ids of \(2, 6\); logits \(2, 6, 64 or more\) were expected"),
        ("backward_lm", "is no causal language model"),
        ("mixing_lm", "is no causal language model"),
        ("nowhere_lm", "'./no-such-folder' was not found"),
    ],
)
def test_what_is_no_such_model_is_said_in_one_line(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=rf"^model\.source: .*{said}") as no:
        adapted_to(name)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("merge", [False, True])
def test_no_code_is_run_that_a_folder_names_unless_the_user_names_it(merge: bool, tmp_path: Path) -> None:  # noqa: FBT001  # a parameter
    adapted = adapted_to("lstm_lm", "lora")
    export(adapted, moved(adapted), tmp_path / "out", merge=merge)
    own_models.CALLS.clear()
    for code in (None, OWN + "private_lstm_lm"):
        with pytest.raises(
            ModelError, match=rf"names code to run, {OWN}lstm_lm; if you trust it, .*--code {OWN}lstm_lm"
        ):
            generate_on(tmp_path / "out", "w3 w4", Terms(max_new_tokens=4, code=code))
    assert own_models.CALLS == []
    heard: list[str] = []
    terms = Terms(max_new_tokens=6, code=OWN + "lstm_lm")
    found = generate_on(tmp_path / "out", "w3 w4", terms, hear=lambda who, text: heard.append(who[:7] + text))
    assert own_models.CALLS
    assert adapted.tokenizer is not None
    ids = torch.tensor([adapted.tokenizer("w3 w4")["input_ids"]])
    for _ in range(6):
        with torch.no_grad():
            ids = torch.cat([ids, adapted.module(ids).logits[:, -1:].argmax(-1)], dim=1)
    assert found.text == adapted.tokenizer.decode(ids[0, 2:], skip_special_tokens=True).strip()
    assert found.text != found.base_text
    assert found.text in "".join(piece.removeprefix("adapter") for piece in heard if piece.startswith("adapter"))
    drawn = [
        generate_on(tmp_path / "out", "w3 w4", replace(terms, sampling=Sampling(temperature=2.0, seed=seed))).text
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
