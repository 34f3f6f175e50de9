"""The model card: the hub reads it, its code runs, and it tells nothing of single records."""

import contextlib
import io
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.card import CARD, Spent, Story, card_of, rounded_up
from gossipfl.learning.continuing import continue_greedily
from gossipfl.learning.export import export
from gossipfl.learning.models import load_base
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]
TEXT, CAUSAL = "sequence-classification", "causal-lm"
CASES = [
    ("bert", TEXT, "peft"),
    ("gpt2", TEXT, "transformers"),
    ("gpt2", CAUSAL, "peft"),
    ("llama", CAUSAL, "transformers"),
]
SPENT = Spent(epsilon=7.913, delta=1 / (2 * 1234), mechanism="Gaussian, clipped", public=False)


def code_of(folder: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), flags=re.DOTALL)
    return str(code)


def run_here(code: str, folder: Path) -> str:
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(code, {})  # noqa: S102  # what a reader would copy
    return printed.getvalue().strip()


def private(adapted: Adapted, **privacy: object) -> Adapted:
    """The same adapter, of an experiment with privacy."""
    level = PrivacyConfig.model_validate({"level": "example", "target_epsilon": 8.0, **privacy})
    experiment = adapted.experiment.model_copy(update={"privacy": level})
    return attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)


def moved(adapted: Adapted) -> AdapterState:
    noise = np.random.default_rng(1).standard_normal(adapted.spec.size).astype(np.float32)
    return AdapterState(adapted.spec, adapted.initial.vector + np.float32(0.5) * noise)


def answer(adapted: Adapted) -> str:
    """What the node's own model makes of the words in the card."""
    tokenizer = adapted.tokenizer
    assert tokenizer is not None
    ids = torch.tensor([tokenizer("What is ataxia?")["input_ids"]])
    if adapted.labels:
        with torch.no_grad():
            return adapted.labels[int(adapted.module(input_ids=ids).logits.argmax())]
    (said,) = continue_greedily(adapted.module, ids, most=20, pad=tokenizer.pad_token_id)
    return str(tokenizer.decode(said, skip_special_tokens=True)).strip()


@pytest.mark.parametrize(("name", "task", "library"), CASES)
def test_the_hub_reads_the_card_and_its_code_says_what_the_node_says(
    name: str, task: str, library: str, tmp_path: Path, adapted_of: Attach
) -> None:
    adapted = adapted_of(name, task=task)
    sha256 = export(adapted, moved(adapted), tmp_path / "out", merge=library == "transformers")
    card = ModelCard.load(tmp_path / "out" / CARD)
    assert card.data.library_name == library
    assert card.data.pipeline_tag == ("text-generation" if task == CAUSAL else "text-classification")
    assert {"gossipfl", "federated-learning", "lora"} <= set(card.data.tags)
    assert sha256 in card.text
    assert adapted.base.sha256 in card.text
    assert run_here(code_of(tmp_path / "out"), tmp_path / "out") == answer(adapted)
    assert str(tmp_path) not in card.content
    assert str(adapted.base.folder) not in card.content


def metadata(adapted: Adapted) -> dict[str, Any]:
    data: Any = card_of(adapted, Story(), sha256="ab", whole=False).data
    return dict(data.to_dict())


def test_a_builtin_models_code_runs_too(tmp_path: Path) -> None:
    labels = ("zero", "one")
    experiment = Experiment(
        model=ModelConfig(source="builtin:mlp", inputs=6, hidden=(4, 3)),
        task=TaskConfig(kind="vector-classification", labels=labels),
        adapter=AdapterConfig(kind="full"),
        privacy=PrivacyConfig(level="none"),
    )
    adapted = attach(load_base(experiment.model, experiment.task, folder=Path(), seed=0), experiment)
    export(adapted, adapted.initial, tmp_path / "out")
    assert run_here(code_of(tmp_path / "out"), tmp_path / "out") in labels
    assert "library_name" not in ModelCard.load(tmp_path / "out" / CARD).data.to_dict()


def test_epsilon_stands_rounded_up_at_a_delta_that_tells_no_number_of_records(adapted_of: Attach) -> None:
    adapted = private(adapted_of("bert"))
    text = card_of(adapted, Story(nodes=5, step=70, spent=SPENT), sha256="ab", whole=False).content
    assert "**ε ≤ 8 at δ ≤ 0.001**" in text
    assert "Gaussian, clipped" in text
    assert "one record, added or removed" in text
    assert "differential-privacy" in text
    assert "| nodes | 5 |" in text
    for told in ("1234", "617", "7.91", f"{SPENT.delta:g}"):
        assert told not in text
    named = private(adapted_of("bert"), target_delta=1e-6)
    assert "at δ ≤ 1e-06**" in card_of(named, Story(spent=SPENT), sha256="ab", whole=False).content


def test_a_run_without_privacy_says_so(adapted_of: Attach) -> None:
    text = card_of(adapted_of("bert"), Story(), sha256="ab", whole=False).content
    assert "may reveal records" in text
    assert "ε ≤" not in text
    assert "differential-privacy" not in text


def test_what_is_not_known_is_not_made_up(adapted_of: Attach) -> None:
    text = card_of(private(adapted_of("bert")), Story(), sha256="ab", whole=False).content
    assert "what was spent is in the node's ledger" in text
    assert "bytes" not in text
    assert "| nodes |" not in text


def test_the_license_is_the_base_models(tmp_path: Path, tiny_folders: dict[str, Path], adapted_of: Attach) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for path in tiny_folders["bert"].iterdir():
        (base / path.name).symlink_to(path)
    (base / CARD).write_text("---\nlicense: other\nlicense_name: parrot\ntags: [x]\n---\nA base.\n")
    data = metadata(adapted_of(str(base)))
    assert (data["license"], data["license_name"]) == ("other", "parrot")
    (base / CARD).write_text("---\nlicense: [\n---\n")
    assert "license" not in metadata(adapted_of(str(base)))


def test_a_users_words_stay_in_their_cells(adapted_of: Attach) -> None:
    adapted = adapted_of("bert")
    task = adapted.experiment.task.model_copy(update={"labels": ("a|b", "c\n---\nd", "{{ x }}")})
    experiment = adapted.experiment.model_copy(update={"task": task})
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    card: Any = card_of(attach(base, experiment), Story(), sha256="ab", whole=False)
    assert "| labels | a\\|b, c --- d, {{ x }} |" in card.content
    again: Any = ModelCard(card.content)
    assert again.data.to_dict() == card.data.to_dict()


@given(st.floats(1e-9, 1e9))
def test_rounding_up_is_a_bound_of_two_digits(epsilon: float) -> None:
    shown = float(rounded_up(epsilon))
    assert epsilon <= shown <= epsilon * 1.1 * (1 + 1e-9)
    assert shown == pytest.approx(float(f"{shown:.1e}"), rel=1e-12)


def test_rounding_knows_the_ends() -> None:
    assert [rounded_up(value) for value in (0.0, math.inf, 8.0, 8.01, 99.1)] == ["0", "∞", "8", "8.1", "100"]


@pytest.mark.slow
def test_the_code_runs_in_a_process_of_its_own_without_a_network(tmp_path: Path, adapted_of: Attach) -> None:
    adapted = adapted_of("bert")
    export(adapted, moved(adapted), tmp_path / "out")
    script = tmp_path / "load.py"
    script.write_text(code_of(tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path / "out",
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == answer(adapted)
