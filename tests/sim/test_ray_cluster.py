"""A Ray cluster of two machines, as processes of this one."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.sim.training import NOISE, build, digits, play, with_engine

from gossipfl.sim.executor import Cluster

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")


@pytest.mark.slow
def test_64_nodes_on_two_machines_are_the_loop_exactly(tmp_path: Path) -> None:
    content = digits(
        privacy=NOISE,
        data__split={"kind": "iid"},
        training__phases=3,
        simulation__nodes=64,
        simulation__actors=2,
    )

    # within the test: actors cannot import this file
    def machine(_actor: object) -> str:
        found: str = ray.get_runtime_context().get_node_id()
        return found

    looped = play(tmp_path, with_engine(content, "loop"))
    machines = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        machines.add_node(num_cpus=1)
        machines.wait_for_nodes()
        content["simulation"]["address"] = machines.address
        spread = build(tmp_path, with_engine(content, "ray"))
        cluster = spread.training.crew
        assert isinstance(cluster, Cluster)
        with closing(cluster):
            assert len({ray.get(actor.__ray_call__.remote(machine)) for actor in cluster._actors}) == 2
            spread.world.run()
    finally:
        machines.shutdown()
    assert np.array_equal(spread.vectors, looped.vectors)
