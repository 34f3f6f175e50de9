"""A T5 is taught responses to prompts: rows, losses, gradients of single rows, exports, text."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError, PrivacyError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.records import Record
from gossipfl.learning.evaluation import evaluate
from gossipfl.learning.export import export
from gossipfl.learning.generation import generate
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.self_check import check_per_sample_gradients, choose_engine
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]
PAIRS = (("w1 w2 w3", "w40 w41"), ("w4", "w42 w43 w44 w45 w46"), ("w5 w6 w7 w8 w9 w10", "w47"), ("w11 w12", "w48 w49"))


@pytest.fixture(scope="module")
def adapted(adapted_of: Attach) -> Adapted:
    found: Adapted = adapted_of("t5", task="seq2seq-lm", kind="lora")
    return found


def examples_of(adapted: Adapted, pairs: tuple[tuple[str, str], ...] = PAIRS, **task: Any) -> Examples:
    records = [Record(response, prompt=prompt) for prompt, response in pairs]
    config = adapted.experiment.task.model_copy(update=task)
    return make_examples(records, [[row] for row in range(len(pairs))], tokenizer=adapted.tokenizer, task=config)


def moved(adapted: Adapted, size: float) -> AdapterState:
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    return AdapterState(adapted.spec, adapted.initial.vector + np.float32(size) * noise)


def test_a_row_in_a_batch_has_the_loss_that_transformers_gives_it_alone(adapted: Adapted) -> None:
    adapted.write(moved(adapted, 0.1))
    examples = examples_of(adapted)
    (together,) = examples.rows_in_order(len(PAIRS))
    with torch.no_grad():
        losses = make_task(adapted.experiment.task).losses(adapted.module, together.tensors)
        alone = [adapted.module(**rows.tensors).loss for rows in examples.rows_in_order(1)]
    torch.testing.assert_close(losses, torch.stack(alone), rtol=1e-5, atol=1e-5)
    assert together.tensors["input_ids"].shape == (4, 6)
    # a response and the token that ends it
    assert (together.tensors["labels"] >= 0).sum(1).tolist() == [3, 6, 2, 3]


def test_either_side_is_cut_by_itself_and_a_cut_response_has_no_end(adapted: Adapted) -> None:
    (rows,) = examples_of(adapted, max_length=3).rows_in_order(4)
    labels = rows.tensors["labels"]
    assert (labels >= 0).sum(1).tolist() == [3, 3, 2, 3]
    assert [1 in row for row in labels.tolist()] == [True, False, True, True]
    assert rows.tensors["attention_mask"].sum(1).tolist() == [3, 1, 3, 2]


def test_perplexity_and_token_accuracy_count_the_responses_tokens(adapted: Adapted) -> None:
    adapted.write(moved(adapted, 0.1))
    examples, task = examples_of(adapted), make_task(adapted.experiment.task)
    with torch.no_grad():
        rows = [(rows, adapted.module(**rows.tensors)) for rows in examples.rows_in_order(1)]
    counts = [int((each.tensors["labels"] >= 0).sum()) for each, _ in rows]
    mean = sum(float(out.loss) * count for (_, out), count in zip(rows, counts, strict=True)) / sum(counts)
    said = sum(int((out.logits.argmax(-1) == each.tensors["labels"]).sum()) for each, out in rows)
    found = evaluate(adapted.module, task, examples, micro_batch=3)
    assert found.accuracy is None
    assert found.perplexity == pytest.approx(math.exp(mean), rel=1e-5)
    assert found.token_accuracy == pytest.approx(said / sum(counts))


@pytest.mark.parametrize("kind", ["lora", "core"])
def test_gradients_of_single_rows_are_right_by_groups_and_by_hooks(kind: str, adapted_of: Attach) -> None:
    adapted = adapted_of("t5", task="seq2seq-lm", kind=kind)
    rows = next(examples_of(adapted).rows_in_order(2))
    losses = make_task(adapted.experiment.task).losses
    assert choose_engine("auto", adapted.module, losses, rows) == "grouped"
    check_per_sample_gradients(adapted.module, losses, rows, "hooks")


def test_a_t5_trained_whole_is_refused_before_training_under_privacy(adapted_of: Attach) -> None:
    adapted = adapted_of("t5", task="seq2seq-lm", kind="full")
    rows = next(examples_of(adapted).rows_in_order(2))
    with pytest.raises(PrivacyError, match="per-sample gradients"):
        choose_engine("auto", adapted.module, make_task(adapted.experiment.task).losses, rows)


@pytest.mark.parametrize("kind", ["lora", "core"])
def test_an_export_reloads_by_peft_and_merged_by_transformers_with_equal_logits(
    kind: str, tmp_path: Path, adapted_of: Attach
) -> None:
    adapted = adapted_of("t5", task="seq2seq-lm", kind=kind, alpha=6.0)
    state = moved(adapted, 0.1)
    export(adapted, state, tmp_path / "adapter")
    export(adapted, state, tmp_path / "whole", merge=True)
    base = AutoModelForSeq2SeqLM.from_pretrained(adapted.experiment.model.source)
    reloaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    merged = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "whole").eval()
    (rows,) = examples_of(adapted).rows_in_order(4)
    with torch.no_grad():
        wanted, *found = [module(**rows.tensors).logits for module in (adapted.module, reloaded, merged)]
    assert reloaded.active_peft_config.task_type == "SEQ_2_SEQ_LM"
    for logits in found:
        # behind a response stands each model's own padding
        counted = rows.tensors["labels"] >= 0
        torch.testing.assert_close(logits[counted], wanted[counted], rtol=1e-4, atol=1e-4)
    # one table for what goes in on either side and what comes out
    table = merged.get_input_embeddings().weight
    assert table is merged.lm_head.weight is merged.decoder.embed_tokens.weight
    assert torch.equal(table, base.get_input_embeddings().weight)


def test_what_is_generated_is_what_transformers_generates(tmp_path: Path, adapted: Adapted) -> None:
    export(adapted, moved(adapted, 3.0), tmp_path / "adapter")
    export(adapted, moved(adapted, 3.0), tmp_path / "whole", merge=True)
    found = [generate(tmp_path / name, "w3 w4 w5", max_new_tokens=6, device="cpu") for name in ("adapter", "whole")]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "whole")
    merged = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "whole").eval()
    ids = merged.generate(**tokenizer("w3 w4 w5", return_tensors="pt"), max_new_tokens=6, do_sample=False)
    assert found[0].text == found[1].text == tokenizer.decode(ids[0, 1:], skip_special_tokens=True).strip()
    assert found[0].text != found[0].base_text


def test_what_does_not_go_with_it_is_one_line(experiment_of: Callable[..., Experiment]) -> None:
    good = experiment_of("t5", task="seq2seq-lm")
    content = {**good.model_dump(), "data": {"prompt": "question", "response": "answer"}}
    Experiment.model_validate(content)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"data": {}}, "name both columns"),
        ({"training": {"loss": "goldfish"}}, "causal-lm was expected, not seq2seq-lm"),
        ({"data": {**content["data"], "canaries": {"node": "n0"}}}, "causal-lm was expected, not seq2seq-lm"),
    ]
    for change, words in changes:
        with pytest.raises(ValidationError, match=words):
            Experiment.model_validate({**content, **change})


def test_a_model_without_a_decoder_is_one_line(adapted_of: Attach) -> None:
    with pytest.raises(ModelError, match="cannot be a seq2seq-lm model") as caught:
        adapted_of("bert", task="seq2seq-lm")
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_say_how_it_begins_is_one_line(
    tmp_path: Path, tiny_folders: dict[str, Path], adapted_of: Attach
) -> None:
    folder = tmp_path / "beginless"
    shutil.copytree(tiny_folders["t5"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "decoder_start_token_id": None}))
    with pytest.raises(ModelError, match="lacks decoder_start_token_id"):
        adapted_of(str(folder), task="seq2seq-lm")
