"""FedAvg over all clients is gossip with an exact average after every phase, and which conditions that takes."""

from pathlib import Path
from typing import Any

import pytest
from tests.baseline.flower_runs import COMPLETE, EXACT, adapter_of, centralized, distance, gossiped, on_sentences, small
from tests.sim.training import NOISE

CLOSE = 1e-6
ADAPTERS = ("ffa", "core", "alternating")


@pytest.mark.parametrize("network", [COMPLETE, EXACT], ids=["complete graph", "exact schedule"])
@pytest.mark.parametrize("privacy", [{"level": "none"}, NOISE], ids=["plain", "private"])
@pytest.mark.slow
def test_fedavg_is_exact_gossip_for_full(tmp_path: Path, network: dict[str, Any], privacy: dict[str, Any]) -> None:
    content = small(**network, privacy=privacy)
    assert distance(centralized(tmp_path, content), gossiped(tmp_path, content)) <= CLOSE


@pytest.mark.parametrize("network", [COMPLETE, EXACT], ids=["complete graph", "exact schedule"])
@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.slow
def test_fedavg_is_exact_gossip_for_adapters(
    tmp_path: Path, tiny_folders: dict[str, Path], kind: str, network: dict[str, Any]
) -> None:
    content = on_sentences(tmp_path, tiny_folders["bert"], kind, **network)
    assert distance(centralized(tmp_path, content), gossiped(tmp_path, content)) <= CLOSE


def test_both_forget_the_optimizer_when_they_are_told_to(tmp_path: Path) -> None:
    keep, reset = small(), small(training__optimizer_state="reset")
    server, gossip = centralized(tmp_path / "reset", reset), gossiped(tmp_path / "reset", reset)
    assert distance(server, gossip) <= CLOSE
    assert distance(server, centralized(tmp_path / "keep", keep)) > 100 * CLOSE


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"flower": {"weighting": "examples"}}, id="clients weighted by their examples"),
        pytest.param({"flower": {"fraction": 0.5}}, id="half of the clients a round"),
        pytest.param({"flower": {"strategy": "FedMedian"}}, id="another strategy"),
    ],
)
def test_without_its_conditions_they_are_not_equal(tmp_path: Path, change: dict[str, Any]) -> None:
    server, gossip = centralized(tmp_path, small(**change)), gossiped(tmp_path, small())
    assert distance(server, gossip) > 100 * CLOSE


def test_an_average_that_is_not_exact_is_not_equal(tmp_path: Path) -> None:
    ring = small(topology={"kind": "ring"})
    assert distance(centralized(tmp_path, small()), gossiped(tmp_path, ring)) > 100 * CLOSE


def test_two_runs_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    content = small(privacy=NOISE, flower={"fraction": 0.5})
    one, other = centralized(tmp_path / "a", content), centralized(tmp_path / "b", content)
    assert (adapter_of(one) == adapter_of(other)).all()
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert (one.output / name).read_text() == (other.output / name).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ADAPTERS)
def test_clients_built_anew_for_every_message_are_those_that_stayed(
    tmp_path: Path, tiny_folders: dict[str, Path], kind: str
) -> None:
    """What a deployment's processes are, one of which it has for each message; `test_deployment.py` has real ones."""
    content = on_sentences(tmp_path, tiny_folders["bert"], kind, privacy=NOISE)
    stayed, anew = centralized(tmp_path, content), centralized(tmp_path, content, "tests.baseline.flower_runs:run_anew")
    assert (adapter_of(anew) == adapter_of(stayed)).all()
    assert anew.epsilon == stayed.epsilon
