"""Every arm with every seed is an experiment of its own."""

from pathlib import Path

from tests.studies.comparing import GOSSIP, loaded

from gossipfl.config.loading import load_experiment
from gossipfl.studies.compare_plan import Order, plan_orders, sources_of
from gossipfl.studies.compare_run import order_of

RANDOM = {"driver": "gossip", "set": {"topology.kind": "erdos_renyi"}}


def planned(folder: Path, table: dict[str, object], **changes: object) -> dict[str, Order]:
    return {order.name: order for order in plan_orders(loaded(folder, table, **changes), folder / "study")}


def test_seeds_go_into_the_experiment_and_its_random_graphs(tmp_path: Path) -> None:
    orders = planned(tmp_path, {"arms": {"random": RANDOM}, "seeds": [4, 9]})
    seeds = {
        name: (order.loaded.experiment.seed, order.loaded.experiment.topology.seed) for name, order in orders.items()
    }
    assert seeds == {"random/seed-4": (4, 4), "random/seed-9": (9, 9)}


def test_a_graph_whose_seed_is_named_stays_the_same(tmp_path: Path) -> None:
    named = {"driver": "gossip", "set": {"topology": {"kind": "erdos_renyi", "seed": 7}}}
    orders = planned(tmp_path, {"arms": {"own": named, "other": RANDOM}, "seeds": [4]})
    assert orders["own/seed-4"].loaded.experiment.topology.seed == 7
    assert orders["other/seed-4"].loaded.experiment.topology.seed == 4
    base = planned(tmp_path, {"arms": {"other": RANDOM}, "seeds": [4]}, topology={"kind": "ring", "seed": 3})
    assert base["other/seed-4"].loaded.experiment.topology.seed == 3


def test_an_arm_alone_is_the_base_without_exchange(tmp_path: Path) -> None:
    orders = planned(tmp_path, {"arms": {"ring": GOSSIP, "alone": {"driver": "alone"}}, "seeds": 1})
    ring, alone = (orders[f"{name}/seed-0"].loaded.experiment for name in ("ring", "alone"))
    assert alone.gossip.protocol == "alone"
    assert alone.model_copy(update={"gossip": ring.gossip}) == ring


def test_an_order_survives_its_way_to_another_process(tmp_path: Path) -> None:
    for order in planned(tmp_path, {"arms": {"ring": GOSSIP, "flower": {"driver": "fedavg"}}, "seeds": 2}).values():
        arrived = order_of(order.as_json())
        assert arrived.loaded.experiment == order.loaded.experiment
        assert (arrived.name, arrived.driver, arrived.mode) == (order.name, order.driver, "inprocess")
        assert (arrived.output, arrived.loaded.folder) == (order.output, order.loaded.folder)


def test_the_example_is_four_arms_times_two_seeds_at_equal_work(tmp_path: Path) -> None:
    example = load_experiment(Path(__file__).parents[2] / "experiments" / "quick-compare.yaml")
    orders = plan_orders(example, tmp_path)
    assert len(orders) == 8
    sources = list(sources_of(example, orders, {}))
    assert [source.driver for source in sources] == ["gossip", "gossip", "fedavg", "alone"]
    assert all(source.equal_work for source in sources)
