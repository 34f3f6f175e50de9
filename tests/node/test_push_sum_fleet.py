"""Four real nodes over gRPC run push_sum with int8 and a core adapter; one is killed in mid-run and comes back."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.forked import forked
from tests.node.study import Study, make_study, start_together, wait_until

from gossipfl.core.mass import Mass
from gossipfl.state import AdapterState
from gossipfl.studies.fleet import Fleet

pytestmark = pytest.mark.slow(60)

PHASES = 250
NAMES = ("ada", "bob", "cid", "dan")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Study:
    study = make_study(
        tmp_path_factory.mktemp("pushed") / "study",
        tiny_model,
        names=NAMES,
        training={"phases": PHASES, "local_steps": 1, "evaluate_every": 0},
        gossip={"protocol": "push_sum", "codec": "int8", "settle_rounds": 40, "deadline_s": 5, "linger_s": 30},
    )
    jobs = {name: study.job(name) for name in NAMES}
    with Fleet(list(jobs.values()), launch=forked) as fleet:
        start_together(study, fleet)
        wait_until(lambda: study.phase("cid") >= 3, fleet, what="cid trains")
        fleet.kill("cid")
        before = study.phase("ada")
        wait_until(lambda: study.phase("ada") >= before + 2, fleet, what="ada goes on")
        fleet.start(jobs["cid"])
        results = fleet.results(timeout_s=600)
    assert all(results[name]["step"] >= PHASES - 2 for name in NAMES)
    return study


def masses(study: Study) -> Mapping[str, Mass[AdapterState]]:
    found = {name: study.saved(name).snapshot.mass for name in NAMES}
    return {name: mass for name, mass in found.items() if mass is not None}


def test_no_node_has_lost_or_made_any_weight(ended: Study) -> None:
    # what it has, with what it gave and without what it got: to the last bit, also of the one that was killed
    assert {name: mass.whole.weight for name, mass in masses(ended).items()} == dict.fromkeys(NAMES, 1.0)


def test_what_one_has_booked_of_another_is_what_the_other_has_given(ended: Study) -> None:
    books = masses(ended)
    for giver in NAMES:
        for name in NAMES:
            if name == giver or name not in books[giver].pushed:
                continue
            given, got = books[giver].pushed[name], books[name].heard[giver]
            # the last words of nodes that ended one after the other may be on their way
            assert 0 <= given.weight - got.weight < 1
            if given.weight == got.weight:
                assert given.total == got.total


def test_all_nodes_end_with_the_mean_of_all_starts_and_all_training(ended: Study) -> None:
    wanted = np.mean([np.asarray(mass.whole.total.values) for mass in masses(ended).values()], axis=0)
    for name in NAMES:
        state = ended.saved(name).state.vector
        assert np.linalg.norm(state - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_most_messages_were_differences_of_one_byte_a_value(ended: Study) -> None:
    for name in NAMES:
        rows = ended.rows(name)
        assert rows[-1]["rejected"].keys() <= {"reference", "truncated"}
        # fp32 alone would be four bytes a value and message
        rounds = rows[-1]["round"] if "round" in rows[-1] else len(rows)
        assert rows[-1]["bytes_sent"] < rounds * 3 * 4 * ended.saved(name).state.spec.size
