"""A model of images (ViT): its losses, gradients of single images, its processor, and what is exported of it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from sklearn.metrics import f1_score
from tests.learning.test_card import code_of, run_here
from tests.learning.test_export import random_state
from tests.learning.tiny_vit import DIGITS, encoded, noise, tiny_vit
from transformers import AutoImageProcessor, AutoModelForImageClassification, ResNetConfig, ResNetModel

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import DataError, ModelError
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.images import decode
from gossipfl.learning.data.records import Record
from gossipfl.learning.evaluation import evaluate
from gossipfl.learning.export import export
from gossipfl.learning.families import FAMILIES
from gossipfl.learning.models import load_base
from gossipfl.learning.quiet import quiet
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.self_check import choose_engine
from gossipfl.privacy.sources import ENGINES, Engine

IMAGES = tuple(encoded(noise(seed, 8 + seed, 20)) for seed in range(6))
Attach = Callable[..., Adapted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vit(tmp_path_factory.mktemp("images") / "vit", channels=3)


@pytest.fixture(scope="module")
def attached(folder: Path) -> Attach:
    def make(source: Path = folder, **adapter: Any) -> Adapted:
        experiment = Experiment(
            model=ModelConfig(source=str(source), dtype=adapter.pop("dtype", "float32")),
            task=TaskConfig(kind="image-classification", labels=DIGITS),
            adapter=AdapterConfig(**{"kind": "lora", "rank": 4, **adapter}),
            privacy=PrivacyConfig(level="none"),
        )
        base = load_base(experiment.model, experiment.task, folder=Path(), seed=experiment.seed)
        return attach(base, experiment)

    return make


def examples_for(adapted: Adapted, images: Sequence[bytes] = IMAGES) -> Examples:
    records = [Record("", label=row % 10, image=image) for row, image in enumerate(images)]
    return make_examples(
        records, [[row] for row in range(len(records))], tokenizer=adapted.reader, task=adapted.experiment.task
    )


def logits(module: Any, adapted: Adapted) -> torch.Tensor:
    (rows,) = examples_for(adapted).rows_in_order(len(IMAGES))
    with torch.no_grad():
        found: torch.Tensor = module.eval()(pixel_values=rows.tensors["pixel_values"]).logits
    return found


def test_what_it_sees_is_what_transformers_own_processor_makes_of_each_image(attached: Attach, folder: Path) -> None:
    (rows,) = examples_for(attached()).rows_in_order(len(IMAGES))
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    for image, seen in zip(IMAGES, rows.tensors["pixel_values"], strict=True):
        expected = processor(decode(image), return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(seen, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_image_in_a_batch_has_the_loss_that_transformers_gives_it_alone(attached: Attach, dtype: str) -> None:
    adapted = attached(dtype=dtype)
    examples = examples_for(adapted)
    (together,) = examples.rows_in_order(len(IMAGES))
    with torch.no_grad():
        losses = make_task(adapted.experiment.task).losses(adapted.module, together.tensors)
        own = next(adapted.module.parameters()).dtype
        alone = [
            adapted.module(
                pixel_values=rows.tensors["pixel_values"].to(own), labels=rows.tensors["labels"]
            ).loss.float()
            for rows in examples.rows_in_order(1)
        ]
    close = 1e-5 if dtype == "float32" else 0.02
    torch.testing.assert_close(losses, torch.stack(alone), rtol=close, atol=close)


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
@pytest.mark.parametrize("kind", ["lora", "core"])
def test_the_gradient_of_an_image_is_that_of_its_own_loss(attached: Attach, engine: Engine, kind: str) -> None:
    adapted = attached(kind=kind)
    # at the start B is zero, and nothing flows to A
    adapted.write(random_state(adapted))
    module, losses = adapted.module, make_task(adapted.experiment.task).losses
    (rows,) = examples_for(adapted).rows_in_order(len(IMAGES))
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    own = []
    for row in range(rows.count):
        module.zero_grad()
        module(**rows.row(row).tensors).loss.backward()
        own.append([parameter.grad.clone() for parameter in trained if parameter.grad is not None])
    module.zero_grad()
    source = ENGINES[engine](module, losses)
    for place, found in enumerate(source.unit_gradients(rows)):
        expected = np.stack([gradients[place].numpy() for gradients in own])
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-5)
        assert np.abs(expected).max() > 0
    source.close()


@pytest.mark.parametrize("kind", ["lora", "core", "full"])
def test_an_engine_is_found_that_is_right_for_every_image(attached: Attach, kind: str) -> None:
    adapted = attached(kind=kind)
    (rows,) = examples_for(adapted, IMAGES[:2]).rows_in_order(2)
    losses = make_task(adapted.experiment.task).losses
    assert choose_engine("auto", adapted.module, losses, rows) == ("hooks" if kind == "full" else "grouped")


def test_what_is_adapted_by_default_are_queries_and_values(attached: Attach) -> None:
    adapted = attached()
    assert adapted.parts.factors is not None
    layers = {layer.layer.rpartition(".")[2] for layer in adapted.parts.factors(adapted.initial)}
    assert layers == set(next(family for family in FAMILIES if family.kind == "vit").targets)


def test_it_learns_and_is_measured_over_all_images(attached: Attach) -> None:
    adapted = attached(kind="full")
    examples, task = examples_for(adapted), make_task(adapted.experiment.task)
    before = evaluate(adapted.module, task, examples, micro_batch=4)
    optimizer = torch.optim.Adam(list(adapted.trained.values()), lr=0.01)
    (rows,) = examples.rows_in_order(len(IMAGES))
    for _ in range(30):
        optimizer.zero_grad()
        task.losses(adapted.module, rows.tensors).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = evaluate(adapted.module, task, examples, micro_batch=4)
    assert after.loss < before.loss / 2
    said = logits(adapted.module, adapted).argmax(-1)
    assert after.measures["macro_f1"] == pytest.approx(f1_score(rows.tensors["labels"], said, average="macro"))


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("kind", ["lora", "core"])
def test_an_export_is_read_by_transformers_with_its_processor(
    attached: Attach, folder: Path, tmp_path: Path, kind: str, *, merge: bool
) -> None:
    adapted = attached(kind=kind, alpha=6.0)
    export(adapted, random_state(adapted), tmp_path / "out", merge=merge)
    if merge:
        reloaded = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    else:
        base = AutoModelForImageClassification.from_pretrained(folder, num_labels=len(DIGITS))
        reloaded = PeftModel.from_pretrained(base, tmp_path / "out")
    torch.testing.assert_close(logits(reloaded, adapted), logits(adapted.module, adapted), rtol=1e-4, atol=1e-5)
    assert base_label(reloaded) == DIGITS[3] or not merge
    pixels = AutoImageProcessor.from_pretrained(tmp_path / "out")(decode(IMAGES[0]))["pixel_values"][0]
    assert np.shape(pixels) == (3, 8, 8)
    assert run_here(code_of(tmp_path / "out"), tmp_path / "out") in DIGITS


def base_label(reloaded: Any) -> str:
    found: str = reloaded.config.id2label[3]
    return found


def test_a_model_without_a_processor_is_refused(folder: Path, attached: Attach, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bare")
    (tmp_path / "bare" / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="has no image processor that can be read"):
        attached(tmp_path / "bare")


def test_a_processor_of_another_size_than_the_models_is_refused(attached: Attach, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="makes images of 6 x 6, its model takes 8 x 8"):
        attached(tiny_vit(tmp_path / "vit", processed=6))


def test_a_model_of_text_is_no_model_of_images(tiny_folders: dict[str, Path], attached: Attach) -> None:
    with pytest.raises(ModelError, match="cannot be a image-classification model"):
        attached(tiny_folders["bert"])


def test_records_without_a_processor_are_refused(attached: Attach) -> None:
    task = attached().experiment.task
    with pytest.raises(DataError, match="reads images, and the model has no image processor"):
        make_examples([Record("", label=0, image=IMAGES[0])], [[0]], tokenizer=None, task=task)


def test_a_model_that_keeps_running_statistics_is_refused(folder: Path, attached: Attach, tmp_path: Path) -> None:
    config = ResNetConfig(num_channels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    with quiet():
        ResNetModel(config).save_pretrained(tmp_path)
    shutil.copy(folder / "preprocessor_config.json", tmp_path)
    with pytest.raises(ModelError, match="is a BatchNorm2d, whose running statistics are neither averaged nor saved"):
        attached(tmp_path, kind="full")
