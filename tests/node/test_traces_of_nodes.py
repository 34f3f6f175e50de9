"""`gossipfl node --traces`: one exchange is one trace over both nodes, and tells nothing that a status does not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.forked import forked
from tests.net.world import free_port
from tests.node.collector import SpanSeen, collecting
from tests.node.conftest import Begin
from tests.node.study import Study, make_study, start_together

from gossipfl.studies.fleet import Fleet

pytestmark = pytest.mark.slow
NAMES = ("ada", "bob")
SHORT = {"linger_s": 5, "deadline_s": 60, "settle_rounds": 2}
IN_STEP = {**SHORT, "protocol": "sync"}
"""Every publication is mixed by the other."""
CHAIN = ["train", "publish", "send", "receive", "mix"]
TOLD = {"node", "peer", "round", "step", "phase", "steps", "exchange", "codec", "payload_bytes", "staleness"}
RUN_S = 120


def run(study: Study, options: Mapping[str, Sequence[str]]) -> None:
    """Runs the nodes to their ends, each with its options."""
    with Fleet([study.job(name, *options.get(name, ())) for name in NAMES], launch=forked) as fleet:
        start_together(study, fleet)
        fleet.results(timeout_s=RUN_S)


def traced_run(study: Study, names: Sequence[str] = NAMES) -> list[SpanSeen]:
    """What a collector got of a run in which these nodes keep traces."""
    with collecting() as collector:
        run(study, dict.fromkeys(names, ("--traces", collector.url)))
    assert collector.spans
    return collector.spans


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Study, list[SpanSeen]]:
    """One run of two nodes that both keep traces."""
    study = make_study(tmp_path_factory.mktemp("traced") / "study", tiny_model, names=NAMES, gossip=IN_STEP)
    return study, traced_run(study)


def chain(spans: Sequence[SpanSeen], last: SpanSeen) -> list[SpanSeen]:
    """A span and its ancestors, from the first on."""
    by_id = {(span.trace, span.span): span for span in spans}
    found = [last]
    while found[0].parent:
        found.insert(0, by_id[found[0].trace, found[0].parent])
    return found


@pytest.mark.parametrize(("sender", "receiver"), [NAMES, NAMES[::-1]])
def test_one_exchange_is_one_trace_over_both_nodes(
    traced: tuple[Study, list[SpanSeen]], sender: str, receiver: str
) -> None:
    spans = traced[1]
    mixed = [span for span in spans if (span.name, span.node) == ("mix", receiver)]
    whole = [each for each in (chain(spans, span) for span in mixed) if [span.name for span in each] == CHAIN]
    assert {each[0].said["gossipfl.phase"] for each in whole} == {0, 1, 2, 3}
    for each in whole:
        train, publish, send, receive, mix = each
        assert len({span.trace for span in each}) == 1
        assert [span.node for span in each] == [sender] * 3 + [receiver] * 2
        assert train.ended_ns <= publish.began_ns <= send.began_ns <= receive.ended_ns <= mix.began_ns
        assert all(span.began_ns <= span.ended_ns for span in each)
        assert send.said["gossipfl.exchange"] == receive.said["gossipfl.exchange"]
        assert (send.said["gossipfl.peer"], receive.said["gossipfl.peer"]) == (receiver, sender)


def test_every_publication_has_a_trace_of_its_own(traced: tuple[Study, list[SpanSeen]]) -> None:
    begun = [span for span in traced[1] if span.name == "publish"]
    turns = {(span.node, span.said["gossipfl.round"], span.said["gossipfl.step"]) for span in begun}
    # four phases and the mixing after them, of two nodes
    assert len(turns) >= 8
    assert len({span.trace for span in begun}) == len(turns), "what is published again goes on in the same trace"


def test_spans_tell_no_more_than_a_status_does(traced: tuple[Study, list[SpanSeen]]) -> None:
    study, spans = traced
    assert {span.name for span in spans} == set(CHAIN)
    for span in spans:
        assert {key.removeprefix("gossipfl.") for key in span.said} <= TOLD | {"mixed_round"}
        assert all(isinstance(value, int | str) and len(str(value)) < 40 for value in span.said.values())
        assert not span.links + span.events
        about = {key for key in span.resource if not key.startswith("telemetry.sdk.")}
        assert about == {"service.name", "service.instance.id"}
    words = json.dumps([[span.said, span.resource] for span in spans])
    assert not any(word in words for word in (str(study.folder), "red", "green", "loss", "accuracy", "epsilon"))


def test_two_runs_of_one_study_share_no_trace(traced: tuple[Study, list[SpanSeen]]) -> None:
    study, spans = traced
    for name in NAMES:
        study.state(name).rename(study.folder / f"earlier-{name}")
    again = traced_run(study)
    assert not {span.trace for span in spans} & {span.trace for span in again}


def test_who_keeps_no_traces_is_seen_where_its_messages_arrive(begin: Begin) -> None:
    spans = traced_run(begin(names=NAMES, gossip=SHORT), names=("bob",))
    assert {span.node for span in spans} == {"bob"}
    received = [span for span in spans if span.name == "receive"]
    assert len(received) >= 4
    assert not any(span.parent for span in received), "nobody knows of a span at ada's"
    mixed = {span.trace for span in spans if span.name == "mix"}
    assert mixed
    assert mixed <= {span.trace for span in received}


def test_a_collector_that_is_not_there_or_never_answers_stalls_nobody(begin: Begin) -> None:
    study = begin(names=NAMES, gossip=SHORT)
    with collecting(held=True) as collector:
        nobody = f"http://127.0.0.1:{free_port()}"
        # ends in time: the exporter alone would try for ten seconds, and its queue be waited for for thirty
        run(study, {"ada": ("--traces", nobody), "bob": ("--traces", collector.url)})
        assert collector.posts > 0
    for name in NAMES:
        assert study.phase(name) == 4
        log = (study.folder / f"{name}.log").read_text()
        assert log.count("did not get to") == 1, "lost spans are counted"
        assert log.count("does not take them") <= 1, "and said once"
        assert "Traceback" not in log
        assert "opentelemetry" not in log
