"""Real nodes, one of which lies to the others on purpose: what becomes of them, and what is refused."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forked import forked
from tests.node.study import Study, give_vectors, make_study, start_together

from gossipfl.cli.app import main
from gossipfl.core.events import Send
from gossipfl.core.messages import Header
from gossipfl.node.assembly import NodeRequest, assemble
from gossipfl.node.attacking import UNSAFE, AttackRequest
from gossipfl.node.parts import NodeParts
from gossipfl.privacy.publications import read_log, verify
from gossipfl.privacy.publishing import Publisher
from gossipfl.state import AdapterState
from gossipfl.studies.fleet import Fleet

EVE, *HONEST = NAMES = ("eve", "ada", "bob", "cid")
PHASES, STEPS = 10, 6
SECTIONS: dict[str, Any] = {
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2},
    "training": {"phases": PHASES, "local_steps": STEPS, "batch_size": 32, "learning_rate": 0.02, "evaluate_every": 0},
    "privacy": {"level": "none", "public_data": True, "target_epsilon": None},
    "gossip": {"protocol": "sync", "settle_rounds": 3, "deadline_s": 60, "linger_s": 60},
}
CLIPPING = {"mixing": "self_centered_clipping"}


def digits_study(folder: Path, **sections: Mapping[str, Any]) -> Study:
    """Four nodes, each of which hears all others."""
    merged: dict[str, Any] = {
        name: {**SECTIONS.get(name, {}), **sections.get(name, {})} for name in {**SECTIONS, **sections}
    }
    study = make_study(folder / "study", folder, names=NAMES, **merged)
    give_vectors(study)
    return study


@dataclass(frozen=True, slots=True)
class Told:
    """What a run left behind in which eve lied; `results` is what each node printed last."""

    study: Study
    results: Mapping[str, dict[str, Any]]

    def accuracies(self) -> list[float]:
        """Of honest nodes, on the common test set."""
        return [self.results[name]["test_accuracy"] for name in HONEST]

    def norms(self) -> list[float]:
        """Euclidean, of the states of honest nodes."""
        return [float(np.linalg.norm(self.study.saved(name).state.vector)) for name in HONEST]


def attacked(folder: Path, kind: str, **gossip: Any) -> Told:
    study = digits_study(folder, gossip=gossip)
    jobs = [study.job(EVE, "--attack", kind, UNSAFE), *(study.job(name) for name in HONEST)]
    with Fleet(jobs, launch=forked) as fleet:
        # on a busy machine the honest might be through before the liar has begun
        start_together(study, fleet)
        return Told(study, fleet.results(timeout_s=300))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return attacked(tmp_path_factory.mktemp("lied"), "sign_flip", **CLIPPING)


@pytest.mark.slow(60)
def test_honest_nodes_that_clip_learn_on_beside_a_liar(told: Told) -> None:
    assert {told.results[name]["step"] for name in HONEST} == {PHASES * STEPS}
    assert all(told.results[name]["absent"] == [] for name in HONEST)
    assert min(told.accuracies()) > 0.75


@pytest.mark.slow(60)
def test_they_agree_with_each_other_and_not_with_the_liar(told: Told) -> None:
    states = {name: told.study.saved(name).state.vector.astype(np.float64) for name in NAMES}
    middle = np.mean([states[name] for name in HONEST], axis=0)
    apart = max(float(np.linalg.norm(states[name] - middle)) for name in HONEST)
    assert apart < 0.25 * np.linalg.norm(middle)


@pytest.mark.slow(60)
def test_an_attack_is_loud_and_stands_in_a_log_like_all_publications(told: Told) -> None:
    assert "ATTACK: node eve attacks its neighbors on purpose (sign_flip" in (told.study.folder / "eve.log").read_text()
    assert not any("ATTACK" in (told.study.folder / f"{name}.log").read_text() for name in HONEST)
    path = told.study.state(EVE) / "publications.jsonl"
    certificate = (told.study.folder / "certs" / "eve.pem").read_bytes()
    assert verify(path, certificate).receivers == tuple(sorted(HONEST))


@pytest.mark.slow(60)
def test_nodes_that_take_the_plain_mean_are_carried_off_by_the_same_liar(told: Told, tmp_path: Path) -> None:
    carried = attacked(tmp_path, "sign_flip")
    # a hundred times as far as nodes that clip; what digits such a state still tells apart is chance
    assert min(carried.norms()) > 10 * max(told.norms())
    assert max(carried.accuracies()) < min(told.accuracies()) - 0.1


@pytest.mark.slow(60)
def test_what_is_no_state_is_dropped_and_counted_and_the_others_go_on(tmp_path: Path) -> None:
    told = attacked(tmp_path, "nan", protocol="wait_free", deadline_s=3, linger_s=4, **CLIPPING)
    assert all(sum(told.results[name]["rejected"].values()) > 0 for name in HONEST)
    spec = told.study.saved(EVE).state.spec
    lie = AdapterState(spec, np.full(spec.size, np.nan, np.float32)).digest()
    # what has left, not what was true
    assert lie in {each.publication.state for each in read_log(told.study.state(EVE) / "publications.jsonl")}
    assert min(told.accuracies()) > 0.75


# ---- in this process ----


def assembled(study: Study, kind: str | None, stack: ExitStack) -> NodeParts:
    request = NodeRequest(study.peers, EVE, attack=AttackRequest(kind, allowed=kind is not None))
    return assemble(request, lambda _: None, stack)


def test_who_flips_labels_trains_on_them_and_lies_of_nothing(tmp_path: Path) -> None:
    honest, flipped = digits_study(tmp_path / "honest"), digits_study(tmp_path / "flipped")
    with ExitStack() as stack:
        true, false = (
            assembled(study, kind, stack).bench.data for study, kind in ((honest, None), (flipped, "label_flip"))
        )
        for part in ("train", "held_out"):
            was, became = (next(getattr(data, part).rows_in_order(4000)).tensors["labels"] for data in (true, false))
            assert (became == (9 - was if part == "train" else was)).all()
        assert true.tags == false.tags


@pytest.mark.parametrize("codec", ["fp32", "int8"])
def test_each_neighbor_is_told_something_else_in_a_stream_of_its_own(tmp_path: Path, codec: str) -> None:
    study = digits_study(tmp_path, gossip={"codec": codec})
    with ExitStack() as stack:
        parts = assembled(study, "equivocation", stack)
        assert parts.attacker is not None
        own = parts.bench.adapted.initial
        packet = parts.attacker.packer()(Publisher(parts.bench.account).clear(own, parts.receipt()))
        sends = [Send(name, packet, Header(round=0, step=0)) for name in HONEST]
        unheard = parts.attacker.disguised(sends)
        # it knows nobody yet, and says the truth
        assert all(np.allclose(send.packet.seen.vector, own.vector, atol=0.02) for send in unheard)
        rng = np.random.default_rng(0)
        for name in HONEST:
            noise = AdapterState(own.spec, rng.standard_normal(own.spec.size).astype(np.float32))
            parts.attacker.hear(name, own + noise)
        told = [send.packet for send in parts.attacker.disguised(sends)]
        assert len({packet.seen.digest() for packet in told}) == len(HONEST)
        assert [packet.number for packet in told] == [2, 2, 2]
        assert [packet.reference for packet in told] == [None if codec == "fp32" else 1] * 3
        assert all(packet.payload for packet in told)


@pytest.mark.parametrize(
    ("options", "sections", "message"),
    [
        (["--attack", "alie"], {}, "--attack alie does harm to the models of all nodes"),
        ([UNSAFE], {}, "does nothing by itself: --attack KIND was expected"),
        (["--attack", "alie", UNSAFE], {"privacy": {"public_data": False}}, "privacy.public_data is false"),
        (["--attack", "ipm", UNSAFE], {"gossip": {"protocol": "push_sum"}}, "--attack ipm: gossip.protocol push_sum"),
        (["--attack", "alice", UNSAFE], {}, "--attack: 'alice' is unknown; did you mean 'alie'?"),
        (["--attack", "none", UNSAFE], {}, "--attack: 'none' is unknown"),
        (["--attack", "alie", UNSAFE], {"protection": {"kind": "masked"}}, "protection masked makes its letters of"),
    ],
)
def test_what_would_do_harm_in_earnest_or_makes_no_sense_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sections: dict[str, dict[str, Any]],
    message: str,
) -> None:
    study = digits_study(tmp_path, **sections)
    assert main(["node", "--peers", str(study.peers), "--name", EVE, *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not study.state(EVE).exists()
