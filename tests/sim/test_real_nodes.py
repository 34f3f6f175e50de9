"""The simulator against four real processes over gRPC with mTLS: equal to the last bit.

World ── what happened, in order ──> script ──> Node, Transport, StateDirectory, ledger, publication log
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from tests.forked import forked
from tests.sim.script import Happened, happened, happened_of
from tests.sim.training import NOISE, PRIVACY, Content, build, digits

from gossipfl.core.events import Event
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.state import AdapterState
from gossipfl.studies.corpora import load_bbc
from gossipfl.studies.demo_config import LABELS, MODEL
from gossipfl.studies.demo_files import free_ports
from gossipfl.studies.fleet import Fleet, Job

NAMES = ("n0", "n1", "n2", "n3")
WAIT_S = 100.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a run.

    Attributes:
        vectors: (nodes, size) final states.
        events: of each node, in the order its protocol was told.
        counts: of each node: optimizer steps, rounds, steps in the receipt.
    """

    vectors: NDArray[np.float32]
    events: Mapping[str, list[Happened]]
    counts: Mapping[str, tuple[int, int, int]]


def simulated(folder: Path, content: Content) -> Ended:
    """By the simulator."""
    played = build(folder, content)
    events: dict[str, list[Happened]] = {name: [] for name in NAMES}

    def note(name: str, event: Event[AdapterState]) -> None:
        events[name].append(happened(event, played.world.now))

    played.world.on_event = note
    played.world.run()
    snapshots = {name: body.snapshot for name, body in played.world.bodies.items()}
    counts = {name: (each.step, each.round, each.receipt.steps) for name, each in snapshots.items()}
    return Ended(played.vectors, events, counts)


@dataclass(frozen=True, slots=True)
class Study:
    """One experiment, simulated already.

    Attributes:
        scripted: real nodes are told what the simulated ones were told, in the same order.
    """

    content: Content
    here: Ended
    scripted: bool


def study(folder: Path, case: "Wanted") -> Study:
    """Four nodes on digits that need times of their own for every phase, one of them three times as long."""
    exact = {"gossip__rounds_per_phase": 2, "gossip__settle_rounds": 0, "topology": {"schedule": "base"}}
    content = digits(
        privacy={**PRIVACY[case.level], "public_data": True},
        gossip__protocol=case.protocol,
        gossip__codec=case.codec,
        training__phases=4,
        training__threads=1,
        simulation__compute={"kind": "log_normal", "step_s": 0.1, "spread": 0.8, "slow": {"n2": 3.0}},
        **(exact if case.changing else {}),
        **({"adapter": {"kind": "full", "private": ["output.*"]}} if case.private else {}),
        **({"protection": case.protection, "topology": {"kind": "complete"}} if case.protection else {}),
    )
    return Study(content, simulated(folder, content), case.scripted)


def real_study(folder: Path) -> Study:
    """The same with a pretrained model and a `core` adapter, on articles."""
    (folder / "data").mkdir(parents=True)
    articles = load_bbc()[::8]
    (folder / "data" / "articles.jsonl").write_text("\n".join(map(json.dumps, articles)) + "\n")
    content = digits(
        model={"source": MODEL},
        task={"kind": "sequence-classification", "max_length": 32, "labels": list(LABELS)},
        adapter={"kind": "core", "rank": 8},
        data={"source": "data/articles.jsonl", "split": {"kind": "dirichlet", "dirichlet_alpha": 1.0}},
        privacy={**NOISE, "public_data": True},
        gossip__protocol="wait_free",
        training__phases=3,
        training__local_steps=2,
        training__batch_size=8,
        training__threads=1,
        simulation__compute={"kind": "log_normal", "step_s": 0.1, "spread": 0.8, "slow": {"n2": 3.0}},
    )
    return Study(content, simulated(folder, content), scripted=True)


def real(folder: Path, studies: Mapping[str, Study]) -> dict[str, Ended]:
    """By four processes, which play one study after the other."""
    peers = {label: write_peers(folder / label, study.content) for label, study in studies.items()}
    jobs = []
    for place, name in enumerate(NAMES):
        plays = [
            {
                "peers": str(peers[label]),
                "name": name,
                "neighbors": _neighbors(place, study.content),
                "entries": [asdict(entry) for entry in study.here.events[name]] if study.scripted else None,
            }
            for label, study in studies.items()
        ]
        wanted, told_in = folder / f"{name}-plays.json", folder / f"{name}-told.json"
        wanted.write_text(json.dumps(plays))
        jobs.append(Job(name, ["-m", "tests.sim.real_node", str(wanted), str(told_in)], folder / f"{name}.log"))
    with Fleet(jobs, launch=forked) as fleet:
        fleet.results(timeout_s=WAIT_S)
    told = {name: json.loads((folder / f"{name}-told.json").read_text()) for name in NAMES}
    return {
        label: ended(folder / label, {name: told[name][place] for name in NAMES}) for place, label in enumerate(studies)
    }


def _neighbors(place: int, content: Content) -> list[str]:
    complete = content["topology"].get("kind") == "complete"
    return [*NAMES[:place], *NAMES[place + 1 :]] if complete else [NAMES[place - 1], NAMES[(place + 1) % len(NAMES)]]


def ended(folder: Path, told: Mapping[str, dict[str, Any]]) -> Ended:
    """What the processes said of one study."""
    rejected = {name: told[name]["rejected"] for name in NAMES}
    # a link that gives way to the other end's may cut a message, which goes again; that nothing is missing, bits tell
    assert all(each.keys() <= {"reference", "truncated"} for each in rejected.values()), f"{folder.name}: {rejected}"
    return Ended(
        np.stack([np.load(folder / f"{name}.npy") for name in NAMES]),
        {name: [happened_of(note) for note in told[name]["notes"]] for name in NAMES},
        {name: tuple(told[name]["counts"]) for name in NAMES},
    )


def write_peers(folder: Path, content: Content) -> Path:
    """The same experiment's peers.yaml, with certificates and a ledger for each node."""
    ports = free_ports(len(NAMES))
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, ports, strict=True)}
    make_trial_certificates(folder / "certs", addresses)
    nodes = [
        {
            "name": name,
            "address": addresses[name],
            "certificate": f"certs/{name}.pem",
            "key": f"certs/{name}.key",
            "ledger": f"ledgers/{name}.sqlite",
        }
        for name in NAMES
    ]
    peers = {"experiment": "experiment.yaml", "authority": "certs/authority.pem", "nodes": nodes}
    path = folder / "peers.yaml"
    path.write_text(yaml.safe_dump({**peers, "topology": content["topology"]}))
    return path


@dataclass(frozen=True, slots=True)
class Case:
    """Both runs of one experiment."""

    here: Ended
    there: Ended


@dataclass(frozen=True, slots=True)
class Wanted:
    """One experiment.

    Attributes:
        changing: who talks to whom changes from round to round; two rounds give the exact mean.
        private: the output layer stays at its node.
        protection: each is linked to all others, and learns of their sum alone.
    """

    protocol: str
    level: str
    scripted: bool
    changing: bool = False
    codec: str = "fp32"
    private: bool = False
    protection: str = ""

    @property
    def label(self) -> str:
        """Its folder's name."""
        codec = [self.codec] if self.codec != "fp32" else []
        changing = ["base"] if self.changing else []
        private = ["private"] if self.private else []
        scripted, protection = "scripted" if self.scripted else "free", [self.protection] if self.protection else []
        return "-".join([self.protocol, self.level, scripted, *changing, *codec, *private, *protection])


CASES = [
    Wanted(protocol, level, scripted)
    for protocol, scripted in (("sync", True), ("wait_free", True), ("sync", False))
    for level in ("none", "example")
]
CASES.append(Wanted("sync", "none", scripted=False, changing=True))
CASES.append(Wanted("wait_free", "update", scripted=True))
CASES.append(Wanted("sync", "none", scripted=False, codec="int8"))
CASES.append(Wanted("sync", "example", scripted=True, codec="top_k"))
CASES.append(Wanted("wait_free", "example", scripted=True, codec="int8", private=True))
CASES.append(Wanted("sync", "none", scripted=False, changing=True, codec="int8"))
CASES.append(Wanted("noloco", "none", scripted=False, codec="int8"))
CASES.append(Wanted("noloco", "example", scripted=True))
CASES.append(Wanted("push_sum", "none", scripted=True))
CASES.append(Wanted("push_sum", "example", scripted=True, codec="int8"))
CASES.append(Wanted("pairwise", "none", scripted=True))
CASES.append(Wanted("pairwise", "example", scripted=True, codec="int4"))

CASES.append(Wanted("sync", "none", scripted=False, protection="masked"))
CASES.append(Wanted("sync", "example", scripted=True, private=True, protection="masked"))
if find_spec("tenseal"):
    CASES.append(Wanted("sync", "none", scripted=False, protection="homomorphic"))


QUICK = ("sync-none-free", "wait_free-none-scripted", "sync-example-scripted-private-masked", "push_sum-none-scripted")
"""Those of the fast tests."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """An experiment, both ways; all of a tier are played when the first is asked for."""
    found: dict[str, Case] = {}

    def play(names: Collection[str]) -> None:
        folder = tmp_path_factory.mktemp("oracle")
        studies = {case.label: study(folder / case.label, case) for case in CASES if case.label in names}
        there = real(folder, studies)
        found.update({name: Case(studies[name].here, there[name]) for name in studies})

    def case(name: str) -> Case:
        if name not in found:
            play(QUICK if name in QUICK else {case.label for case in CASES} - {*QUICK})
        return found[name]

    return case


def test_those_of_the_fast_tests_are_there() -> None:
    assert {*QUICK} <= {case.label for case in CASES}


def labels(*, scripted: bool | None = None) -> list[Any]:
    wanted = [case.label for case in CASES if scripted in {None, case.scripted}]
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in wanted]


@pytest.mark.parametrize("name", labels())
def test_simulator_and_processes_end_with_the_same_bits(cases: Callable[[str], Case], name: str) -> None:
    here, there = cases(name).here, cases(name).there
    assert np.array_equal(here.vectors, there.vectors)
    assert here.counts == there.counts
    charged = 4 if "update" in name else 20
    assert all((steps, paid) == (20, charged) for steps, _, paid in here.counts.values())


@pytest.mark.parametrize("name", labels(scripted=True))
def test_every_state_on_the_way_was_the_same(cases: Callable[[str], Case], name: str) -> None:
    here, there = cases(name).here, cases(name).there
    for node in NAMES:
        assert [event.content for event in here.events[node]] == [event.content for event in there.events[node]]


@pytest.mark.parametrize("name", labels(scripted=False))
def test_without_a_script_sync_mixes_the_same_states_in_another_order(cases: Callable[[str], Case], name: str) -> None:
    here, there = cases(name).here, cases(name).there
    for node in NAMES:
        simulated, played = states(here.events[node]), states(there.events[node])
        assert simulated.items() <= played.items()
        # a new link is told the newest state, also where the schedule has no use for it
        assert "base" in name or simulated == played


@pytest.mark.slow
def test_on_an_exact_schedule_all_nodes_end_with_the_same_state(cases: Callable[[str], Case]) -> None:
    there = cases("sync-none-free-base").there
    assert np.ptp(there.vectors, axis=0).max() <= 1e-6
    assert {rounds for _, rounds, _ in there.counts.values()} == {8}


def test_the_script_is_no_trivial_one(cases: Callable[[str], Case]) -> None:
    events = cases("wait_free-none-scripted").here.events
    orders = [[(event.kind, event.who) for event in events[node]] for node in NAMES]
    received = [sum(kind == "Received" for kind, _ in order) for order in orders]
    assert len({tuple(kind for kind, _ in order) for order in orders}) == len(NAMES)
    assert min(received) > 8
    # somebody mixes before the slowest has trained its first phase
    assert any(order[1][0] == "Received" for order in orders)


@pytest.mark.slow
def test_a_pretrained_model_ends_with_the_same_bits_too(tmp_path: Path) -> None:
    study = real_study(tmp_path / "articles")
    there = real(tmp_path, {"articles": study})["articles"]
    assert np.array_equal(study.here.vectors, there.vectors)
    assert np.abs(there.vectors).max() > 0
    for node in NAMES:
        assert [event.content for event in study.here.events[node]] == [event.content for event in there.events[node]]


def states(events: list[Happened]) -> dict[tuple[str, str, int], str]:
    """Digest of each state by kind, sender and round; what was sent again on a new link counts once."""
    return {(event.kind, event.who, event.words[0]): event.digest for event in events if event.digest}
