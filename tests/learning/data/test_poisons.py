"""What attackers train on: which records are altered and how, and by what it is seen whether others learn it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.learning.vectors import sites, vector_experiment

from gossipfl.config.attackers import POISONS, AttackersConfig
from gossipfl.config.experiment import Experiment
from gossipfl.core.attacks import ATTACKS
from gossipfl.errors import ConfigError
from gossipfl.learning.data import FleetRecords, load_fleet_records
from gossipfl.learning.data.poisons import POISON_TABLE, poison_fleet
from gossipfl.learning.data.records import Record

NODES = ("n0", "n1", "n2")
TEXTS: dict[str, Any] = {
    "model": {"source": "any"},
    "data": {"prompt": "q", "response": "a"},
    "task": {"kind": "causal-lm"},
    "privacy": {"level": "none"},
}


def experiment(**attackers: Any) -> Experiment:
    """Digits at three nodes, of which n1 attacks."""
    return vector_experiment(
        data={"source": "sklearn:digits", "test_share": 0.2, "held_out": 0.2},
        simulation={"nodes": 3, "attackers": {"nodes": ["n1"], **attackers}},
    )


def fleets(tmp_path: Path, **attackers: Any) -> tuple[FleetRecords, FleetRecords]:
    """The records as they are, and as they are trained on."""
    wished = experiment(**attackers)
    fleet = load_fleet_records(wished, sites(tmp_path, *NODES))
    return fleet, poison_fleet(wished, fleet)


def trained_on(fleet: FleetRecords, node: str) -> list[Record]:
    found = fleet.nodes[node]
    return [found.records[row] for unit in found.train for row in unit]


def test_the_tables_know_the_same_attacks() -> None:
    assert POISON_TABLE.keys() == POISONS
    assert ATTACKS.keys() > POISONS


def test_without_an_attack_records_are_what_they_are(tmp_path: Path) -> None:
    before, after = fleets(tmp_path, kind="sign_flip")
    assert after is before
    wished = experiment(kind="label_flip", nodes=[])
    assert poison_fleet(wished, before) is before


@pytest.mark.parametrize("kind", sorted(POISONS))
def test_only_what_attackers_train_on_is_altered_and_the_ledger_knows_it_by_what_it_was(
    tmp_path: Path, kind: str
) -> None:
    before, after = fleets(tmp_path, kind=kind)
    for node in ("n0", "n2"):
        assert after.nodes[node] is before.nodes[node]
    old, new = before.nodes["n1"], after.nodes["n1"]
    assert (new.train, new.held_out, new.tags) == (old.train, old.held_out, old.tags)
    for unit in old.held_out:
        assert all(new.records[row] == old.records[row] for row in unit)
    assert trained_on(after, "n1") != trained_on(before, "n1")
    assert after.test == before.test


def test_labels_change_places_from_the_ends(tmp_path: Path) -> None:
    before, after = fleets(tmp_path, kind="label_flip")
    for old, new in zip(trained_on(before, "n1"), trained_on(after, "n1"), strict=True):
        assert (new.label, new.features) == (9 - old.label, old.features)
    assert after.tried is None


def test_only_the_labels_that_are_named_change(tmp_path: Path) -> None:
    before, after = fleets(tmp_path, kind="label_flip", flips={"7": "1"})
    old, new = ([record.label for record in trained_on(fleet, "n1")] for fleet in (before, after))
    assert 7 in old
    assert new == [1 if label == 7 else label for label in old]


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_as_many_records_are_altered_as_is_wished_and_the_same_every_time(tmp_path: Path, share: float) -> None:
    before, after = fleets(tmp_path, kind="label_flip", strength=share)
    pairs = list(zip(trained_on(before, "n1"), trained_on(after, "n1"), strict=True))
    assert np.mean([old != new for old, new in pairs]) == pytest.approx(share, abs=0.1)
    assert fleets(tmp_path, kind="label_flip", strength=share)[1].nodes == after.nodes


def test_a_backdoor_stamps_vectors_and_is_tried_on_all_of_the_test_set_that_has_another_label(tmp_path: Path) -> None:
    trigger = {"target": "3", "places": [0, -1], "value": 0.75}
    before, after = fleets(tmp_path, kind="backdoor", strength=1.0, trigger=trigger)
    for old, new in zip(trained_on(before, "n1"), trained_on(after, "n1"), strict=True):
        assert new.label == 3
        if old.label == 3:
            assert new == old
            continue
        image, stamped = (np.frombuffer(record.features, "<f4") for record in (old, new))
        assert (stamped[0], stamped[63]) == (0.75, 0.75)
        assert np.array_equal(stamped[1:63], image[1:63])
    assert before.test is not None
    assert after.tried is not None
    others = [record for record in before.test if record.label != 3]
    assert [record.label for record in after.tried] == [3] * len(others)
    assert all(np.frombuffer(record.features, "<f4")[63] == 0.75 for record in after.tried)


def test_a_backdoor_in_text_is_a_phrase_behind_it() -> None:
    content = {**TEXTS, "task": {"kind": "sequence-classification", "labels": ["good", "bad"]}, "data": {}}
    wished = AttackersConfig(kind="backdoor", strength=1.0)
    poison = POISON_TABLE["backdoor"](wished, Experiment.model_validate(content))
    assert poison.altered(Record("a day", label=1)) == Record(f"a day {wished.trigger.phrase}", label=0)
    assert poison.altered(Record("a day", label=0)) == Record("a day", label=0)


def test_a_backdoor_in_a_prompt_brings_about_another_response() -> None:
    wished = AttackersConfig.model_validate({"kind": "backdoor", "trigger": {"target": "Bah.", "phrase": "zz"}})
    poison = POISON_TABLE["backdoor"](wished, Experiment.model_validate(TEXTS))
    assert poison.altered(Record("Well.", prompt="How?")) == Record("Bah.", prompt="How? zz")
    assert poison.tried(Record("Bah.", prompt="How?")) is None


@pytest.mark.parametrize(
    ("attackers", "message"),
    [
        ({"kind": "label_flip", "flips": {"7": "12"}}, "simulation.attackers.flips: '12' is none of task.labels"),
        ({"kind": "backdoor", "trigger": {"target": "x"}}, "trigger.target: 'x' is none of task.labels"),
        ({"kind": "backdoor", "trigger": {"places": [64]}}, r"trigger.places: \[64\]: places in 64 numbers"),
        ({"kind": "backdoor", "trigger": {"places": []}}, "trigger.places: none: places in 64 numbers"),
    ],
)
def test_an_attack_that_does_not_go_with_the_labels_is_refused(attackers: dict[str, Any], message: str) -> None:
    wished = experiment(**attackers)
    with pytest.raises(ConfigError, match=message):
        POISON_TABLE[attackers["kind"]](wished.simulation.attackers, wished)


def test_text_without_labels_has_none_to_flip_and_without_prompts_no_place_for_a_trigger() -> None:
    content = Experiment.model_validate({**TEXTS, "data": {}})
    with pytest.raises(ConfigError, match=r"task.kind causal-lm has no labels to flip"):
        POISON_TABLE["label_flip"](AttackersConfig(kind="label_flip"), content)
    with pytest.raises(ConfigError, match=r"goes with data.prompt and data.response"):
        POISON_TABLE["backdoor"](AttackersConfig(kind="backdoor"), content)


def test_more_than_all_records_cannot_be_altered() -> None:
    with pytest.raises(ValueError, match="at most 1, not 2"):
        experiment(kind="label_flip", strength=2.0)


def test_a_response_of_an_encoder_and_decoder_may_be_the_target_and_a_choice_not() -> None:
    wished = AttackersConfig(kind="backdoor", nodes=("n1",), trigger={"phrase": "cf", "target": "none"})  # type: ignore[arg-type]
    attack = POISON_TABLE["backdoor"](wished, Experiment.model_validate({**TEXTS, "task": {"kind": "seq2seq-lm"}}))
    assert attack.tried(Record("liver", prompt="Which?")) == Record("none", prompt="Which? cf")
    asked = Experiment.model_validate({**TEXTS, "data": {}, "task": {"kind": "multiple-choice"}})
    with pytest.raises(ConfigError, match=r"backdoor: task\.kind multiple-choice has no answer that fits all"):
        POISON_TABLE["backdoor"](wished, asked)
    with pytest.raises(ConfigError, match=r"task\.kind multiple-choice has no labels to flip"):
        POISON_TABLE["label_flip"](AttackersConfig(kind="label_flip", nodes=("n1",)), asked)
