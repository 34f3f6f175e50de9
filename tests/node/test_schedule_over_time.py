"""Real nodes on a schedule that changes from round to round, by the command.

`tests/sim/test_real_nodes.py` has four such processes among its cases, equal to the simulator to the last bit.
"""

import numpy as np
import pytest
from tests.forked import forked
from tests.node.conftest import Begin

from gossipfl.studies.fleet import Fleet


@pytest.mark.slow
def test_three_nodes_of_one_peer_a_round_end_with_the_same_adapter(begin: Begin) -> None:
    study = begin(
        training={"phases": 2},
        gossip={"protocol": "sync", "rounds_per_phase": 3, "settle_rounds": 0, "linger_s": 60},
        privacy={"level": "none", "target_epsilon": None},
    )
    study.edit("peers.yaml", lambda content: content.update(topology={"schedule": "base"}))
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        # far less than linger_s: everybody hears that everybody is through
        results = fleet.results(timeout_s=50)
    assert {result["step"] for result in results.values()} == {4}
    ada, bob, cid = (study.saved(name).snapshot for name in study.names)
    assert ada.round == bob.round == cid.round == 6
    assert np.abs(ada.state.vector).max() > 0
    assert np.allclose(ada.state.vector, bob.state.vector, atol=1e-6)
    assert np.allclose(ada.state.vector, cid.state.vector, atol=1e-6)
    drifts = ada.drift.vector + bob.drift.vector + cid.drift.vector
    assert np.abs(drifts).max() <= 1e-6
