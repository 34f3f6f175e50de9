"""What one neighbor can do to a node in one step of a protocol, whatever it sends, and whenever."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import names, schedule

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import Event, NeighborUp, Received, Report, Started, TimerFired, Trained
from gossipfl.core.messages import Header, Publishable, Receipt
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.protocol import Parts
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.snapshot import Snapshot
from gossipfl.state import AdapterSpec, AdapterState, Segment

STEPS = 10
SPEC = AdapterSpec((Segment("x", (3,)),))
Values = list[float]
Messages = Sequence[Received[AdapterState]]
vectors = st.lists(st.floats(-20, 20, width=32), min_size=3, max_size=3)
PLAN = schedule("complete", 5)
LIAR, *HONEST = names(5)[1:]


def state(values: Values) -> AdapterState:
    return AdapterState(SPEC, np.array(values, np.float32))


@st.composite
def messages(draw: st.DrawFn, sender: str, most: int = 1) -> list[Received[AdapterState]]:
    """Of the first round, from nodes that have trained as often as they say."""
    steps = st.sampled_from([0, STEPS // 2, STEPS, 50 * STEPS])
    heads = st.builds(Header, round=st.just(0), step=steps, settled=st.booleans())
    return draw(st.lists(st.builds(Received, st.just(sender), vectors.map(state), heads), min_size=1, max_size=most))


def after_one_step(gossip: GossipConfig, own: Values, trained: Values, before: Messages, behind: Messages) -> Values:
    """The node's state when it has mixed once: some messages came before its training was over, some after it."""
    parts = Parts(
        name="n0",
        schedule=PLAN,
        mixing=MIXINGS[gossip.mixing](gossip),
        gossip=gossip,
        phases=5,
        local_steps=STEPS,
        clear=Publishable,
        snapshot=Snapshot(state=state(own)),
    )
    protocol = PROTOCOLS[gossip.protocol](parts)
    done = Trained(0, state(own) + state(trained), STEPS, 1.0, Receipt(steps=STEPS, charges=STEPS))
    late = TimerFired("deadline")
    ups = [NeighborUp(name) for name in names(5)[1:]]
    events: list[Event[AdapterState]] = [*ups, Started(), *before, done, *behind, late]
    for event in events:
        if any(isinstance(effect, Report) for effect in protocol.handle(event, 2e6 if event is late else 0.0)):
            return [float(value) for value in protocol.snapshot.state.vector]
    raise AssertionError("it has never mixed")


@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_one_neighbor_moves_a_node_by_at_most_its_weight_times_the_radius(protocol: str, data: st.DataObject) -> None:
    """Against the same step without it, which leaves the node its weight."""
    radius, discount = data.draw(st.floats(0.01, 30)), data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    gossip = GossipConfig(
        protocol=protocol, mixing="self_centered_clipping", clipping_radius=radius, staleness_discount=discount
    )
    own, trained = data.draw(vectors), data.draw(vectors)
    others = [message for name in HONEST for message in data.draw(messages(name))]
    lies = data.draw(messages(LIAR, most=3))
    everything = data.draw(st.permutations([*others, *lies]))
    cut = data.draw(st.integers(0, len(everything)))
    before, behind = everything[:cut], everything[cut:]
    without = [[message for message in part if message.sender != LIAR] for part in (before, behind)]
    found = after_one_step(gossip, own, trained, before, behind)
    expected = after_one_step(gossip, own, trained, *without)
    weight = PLAN.row("n0", 0).weights[LIAR]
    assert np.linalg.norm(np.subtract(found, expected)) <= weight * radius + 1e-4


@pytest.mark.parametrize("mixing", sorted({*MIXINGS} - {"weighted"}))
def test_mixing_that_compares_states_sees_those_that_lack_the_last_training_with_those_that_have_it(
    mixing: str,
) -> None:
    """All of a round at once, and as they would be at the same time; by themselves two are too few to outvote one."""
    gossip = GossipConfig(protocol="wait_free", mixing=mixing)
    trained = [4.0, -2.0, 1.0]
    states = np.random.default_rng(5).standard_normal((5, 3))
    own, theirs = states[0].tolist(), states[1:]
    # two come without the training that the node has just done
    steps = [0, 0, STEPS, STEPS]
    come = [
        Received(name, state((values + (np.array(trained) if step else 0)).tolist()), Header(round=0, step=step))
        for name, values, step in zip(names(5)[1:], theirs, steps, strict=True)
    ]
    alike = {name: (0.2, state((values + trained).tolist())) for name, values in zip(names(5)[1:], theirs, strict=True)}
    expected = MIXINGS[mixing](gossip).mix(state((states[0] + trained).tolist()), 0.2, alike)
    np.testing.assert_allclose(after_one_step(gossip, own, trained, come, []), expected.vector, atol=1e-5)
