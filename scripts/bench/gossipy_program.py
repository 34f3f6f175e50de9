"""Runs in gossipy's own environment, see `simulate_gossipy`: prints its node-rounds a CPU-second as JSON."""

import json
import sys
import time
import types
from typing import Any

NODES = 100


def main() -> None:
    """One run of gossipy's simulator."""
    wanted: dict[str, Any] = json.loads(sys.argv[1])
    # imported by gossipy for data sets that are not used here
    for name in ("torchvision", "torchvision.transforms"):
        sys.modules[name] = types.ModuleType(name)
    simulator = build(wanted)
    simulator.init_nodes(seed=42)
    started = time.process_time()
    simulator.start(n_rounds=wanted["rounds"])
    spent_s = time.process_time() - started
    print(json.dumps({"rate": NODES * wanted["rounds"] / spent_s}))


def build(wanted: dict[str, Any]) -> Any:  # noqa: ANN401  # a class of the other environment
    """The simulator as gossipy's own examples set it up."""
    import networkx as nx  # noqa: PLC0415  # of the other environment, as all that follow
    import torch  # noqa: PLC0415
    from gossipy import set_seed  # noqa: PLC0415
    from gossipy.core import AntiEntropyProtocol, ConstantDelay, CreateModelMode, StaticP2PNetwork  # noqa: PLC0415
    from gossipy.data import DataDispatcher  # noqa: PLC0415
    from gossipy.data.handler import ClassificationDataHandler  # noqa: PLC0415
    from gossipy.model.handler import TorchModelHandler  # noqa: PLC0415
    from gossipy.model.nn import LogisticRegression, TorchMLP  # noqa: PLC0415
    from gossipy.node import GossipNode  # noqa: PLC0415
    from gossipy.simul import GossipSimulator  # noqa: PLC0415
    from sklearn.datasets import load_digits  # noqa: PLC0415

    torch.set_num_threads(1)
    set_seed(1)
    pixels, digits = load_digits(return_X_y=True)
    data = ClassificationDataHandler(
        torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digits), test_size=0.2
    )
    dispatcher = DataDispatcher(data, n=NODES, eval_on_user=False)
    hidden = tuple(wanted["hidden"])
    handler = TorchModelHandler(
        net=TorchMLP(64, 10, hidden) if hidden else LogisticRegression(64, 10),
        optimizer=torch.optim.SGD,
        optimizer_params={"lr": 0.1},
        criterion=torch.nn.CrossEntropyLoss(),
        local_epochs=1,
        batch_size=32,
        create_model_mode=CreateModelMode.MERGE_UPDATE,
    )
    graph = nx.to_numpy_array(nx.random_regular_graph(4, NODES, seed=1))
    nodes = GossipNode.generate(
        data_dispatcher=dispatcher,
        p2p_net=StaticP2PNetwork(NODES, graph),
        model_proto=handler,
        round_len=NODES,
        sync=True,
    )
    return GossipSimulator(
        nodes=nodes,
        data_dispatcher=dispatcher,
        delta=NODES,
        protocol=AntiEntropyProtocol.PUSH,
        delay=ConstantDelay(0),
        # of 100 nodes one is evaluated at least
        sampling_eval=0.1 if wanted["evaluated"] else 0.01,
    )


if __name__ == "__main__":
    main()
