"""One-peer exponential: exact after log₂ n rounds exactly for powers of two."""

import numpy as np
import pytest

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology import agreement, build_schedule, mixing_matrix
from gossipfl.errors import TopologyError


def made(nodes: int) -> Schedule:
    return build_schedule(
        TopologyConfig(schedule="one_peer_exponential", inexact=True), [f"n{number}" for number in range(nodes)]
    )


@pytest.mark.parametrize("nodes", [2, 3, 8, 13])
def test_a_round_is_half_oneself_and_half_the_one_at_a_power_of_two(nodes: int) -> None:
    hops = int(np.ceil(np.log2(nodes)))
    for round in range(2 * hops):
        shift = np.roll(np.eye(nodes), 2 ** (round % hops), axis=1)
        assert np.array_equal(mixing_matrix(made(nodes), round), (np.eye(nodes) + shift) / 2)


@pytest.mark.parametrize("power", range(1, 8))
def test_a_power_of_two_holds_the_mean_after_log_n_rounds_in_single_precision(power: int) -> None:
    schedule = made(2**power)
    assert schedule.period == power
    start = np.random.default_rng(power).standard_normal(2**power).astype(np.float32)
    x = start
    for round in range(power):
        x = mixing_matrix(schedule, round).astype(np.float32) @ x
    assert np.abs(x - start.astype(np.float64).mean()).max() <= 1e-6


@pytest.mark.parametrize("nodes", range(2, 40))
def test_only_powers_of_two_are_exact(nodes: int) -> None:
    found = agreement(made(nodes))
    assert (found.rounds, found.of) == ((nodes - 1).bit_length(), "period" if nodes > 2 else "round")
    assert (found.lam == 0.0) == (nodes.bit_count() == 1)
    assert found.lam < 1


@pytest.mark.parametrize("nodes", range(2, 20))
def test_a_number_that_is_no_power_of_two_has_to_be_asked_for(nodes: int) -> None:
    config, names = TopologyConfig(schedule="one_peer_exponential"), [f"n{number}" for number in range(nodes)]
    if nodes in (2, 4, 8, 16):
        assert agreement(build_schedule(config, names)).lam == 0.0
    else:
        with pytest.raises(TopologyError, match=f"power of two nodes only, not {nodes}: take base"):
            build_schedule(config, names)


def test_sixteen_nodes_need_four_messages_each_where_a_ring_needs_fifty_times_as_many() -> None:
    ring = mixing_matrix(build_schedule(TopologyConfig(kind="ring"), [str(number) for number in range(16)]))
    starts = np.random.default_rng(0).standard_normal((16, 500))
    x, rounds = starts - starts.mean(axis=0), 0
    whole = np.sum(x**2)
    while np.sum(x**2) > 1e-6 * whole:
        x, rounds = ring @ x, rounds + 1
    # two messages a round each
    assert 2 * rounds >= 50 * 4
    assert agreement(made(16)).steps_to(1e-3) == 4
