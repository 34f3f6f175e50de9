"""The small adapter that `gossipfl advise` averages in place of the real one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import load_simulation
from gossipfl.core.codecs import CODECS
from gossipfl.state import AdapterSpec, Segment
from gossipfl.studies.advise_size import exchanged_spec, small_spec, wire_ratio

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@st.composite
def specs(draw: st.DrawFn) -> AdapterSpec:
    shapes = st.lists(st.integers(1, 400), min_size=1, max_size=3)
    drawn = draw(st.lists(shapes, min_size=1, max_size=12))
    return AdapterSpec(tuple(Segment(f"s{place}", tuple(shape)) for place, shape in enumerate(drawn)))


@given(spec=specs(), most=st.integers(1, 5000))
def test_it_has_room_for_the_first_segments_and_matrices_stay_matrices(spec: AdapterSpec, most: int) -> None:
    small = small_spec(spec, most)
    assert 1 <= small.size <= most
    if spec.size <= most:
        assert small == spec
        return
    *whole, last = small.segments
    real = spec.segments[len(whole)]
    assert tuple(whole) == spec.segments[: len(whole)]
    assert last.name == real.name
    assert last == real or len(last.shape) == min(2, len(real.shape))


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_the_ratio_is_one_of_the_real_adapter_itself_and_about_that_of_the_values_elsewhere(codec: str) -> None:
    gossip = GossipConfig(codec=codec)
    spec = AdapterSpec(tuple(Segment(f"layer.{place}.lora_A", (8, 384)) for place in range(24)))
    assert wire_ratio(gossip, spec, spec) == 1.0
    assert wire_ratio(gossip, spec, small_spec(spec, 6144)) == pytest.approx(12, rel=0.02)


def test_the_adapter_of_an_experiment_is_what_its_nodes_exchange() -> None:
    # 64 inputs, 64 hidden, 10 classes
    assert exchanged_spec(load_simulation(EXPERIMENTS / "quickstart.yaml")).size == 64 * 64 + 64 + 64 * 10 + 10
    assert exchanged_spec(load_simulation(EXPERIMENTS / "averaging.yaml")).size == 1000
