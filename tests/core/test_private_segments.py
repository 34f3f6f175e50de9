"""States with a part that stays: what arithmetic, mixing and publishing do with it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs.packing import packer_for
from gossipfl.core.messages import Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.publishing import Publisher
from gossipfl.runs.spread import spread_of
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("a.R", (2, 3)), Segment("b.R", (4,)), Segment("head", (5,), shared=False)))
SEEDS = st.integers(0, 2**16)


def drawn(seed: int, spec: AdapterSpec = SPEC) -> AdapterState:
    return AdapterState(spec, np.random.default_rng(seed).standard_normal(spec.size).astype(np.float32))


def published(state: AdapterState) -> Publishable[AdapterState]:
    return Publisher(FreeAccount()).clear(state, Receipt())


def test_what_is_published_has_no_private_value_in_it() -> None:
    state = drawn(1)
    content = published(state)
    assert [segment.name for segment in content.state.spec.segments] == ["a.R", "b.R"]
    assert content.state.vector.tobytes() == state.vector[:10].tobytes()
    for codec in ("fp32", "int8", "top_k", "low_rank"):
        packet = packer_for(GossipConfig(codec=codec), 0, drawn(0).sharing(), "n")(content)
        assert packet.seen.spec == SPEC.shared()
        assert state.segment("head").tobytes() not in bytes(packet.payload)


def test_a_state_without_private_segments_is_published_as_it_is() -> None:
    state = drawn(1, SPEC.shared())
    assert published(state).state is state


@given(seed=SEEDS, weights=st.lists(st.floats(0.01, 0.3), min_size=1, max_size=3))
@settings(deadline=None)
def test_mixing_leaves_the_private_part_alone_and_the_shared_one_is_as_without(seed: int, weights: list[float]) -> None:
    own, others = drawn(seed), [drawn(seed + 1 + place).sharing() for place in range(len(weights))]
    terms = {str(place): (weight, state) for place, (weight, state) in enumerate(zip(weights, others, strict=True))}
    mixed = Weighted[AdapterState]().mix(own, 1 - sum(weights), terms)
    assert mixed.spec == SPEC
    assert np.array_equal(mixed.segment("head"), own.segment("head"))
    assert mixed.sharing() == Weighted[AdapterState]().mix(own.sharing(), 1 - sum(weights), terms)


@given(seed=SEEDS)
@settings(deadline=None)
def test_sums_with_a_shared_part_move_that_part_alone(seed: int) -> None:
    own, part = drawn(seed), drawn(seed + 1).sharing()
    operations: list[Callable[[AdapterState, AdapterState], AdapterState]] = [lambda x, y: x + y, lambda x, y: x - y]
    for operation in operations:
        assert operation(own, part).sharing() == operation(own.sharing(), part)
        assert np.array_equal(operation(own, part).segment("head"), own.segment("head"))


def test_distances_are_those_of_what_is_exchanged() -> None:
    one, other = drawn(1), drawn(2)
    same = AdapterState(SPEC, np.concatenate([one.vector[:10], other.vector[10:]]))
    assert spread_of([one, same]).consensus_distance == 0.0
    assert spread_of([one, other]).consensus_distance == pytest.approx(
        spread_of([one.sharing(), other.sharing()]).consensus_distance
    )


def test_a_private_segment_before_a_shared_one_is_a_bug() -> None:
    spec = AdapterSpec((Segment("head", (5,), shared=False), Segment("a.R", (2, 3))))
    with pytest.raises(ValueError, match="come last"):
        spec.shared()
