"""A round of Flower's `start_server` and `start_client` over real gRPC, without training: 4 clients, one tensor."""

import os
import time
from functools import partial
from itertools import pairwise
from typing import Any

from scripts.bench.processes import play_together

CLIENTS = 4


def flower_round_s(values: int, rounds: int) -> list[float]:
    """Seconds of each round but the first."""
    from gossipfl.studies.demo_files import HOST, free_ports  # noqa: PLC0415  # loads torch

    (port,) = free_ports(1)
    address = f"{HOST}:{port}"
    plays = [partial(_serve, address, values, rounds), *[partial(_echo, address)] * CLIENTS]
    marks, *_ = play_together(plays)
    return [later - earlier for earlier, later in pairwise(marks)]


def _quiet() -> None:
    os.environ.update(FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1")
    import logging  # noqa: PLC0415

    import flwr.supercore  # noqa: PLC0415

    del flwr
    logging.getLogger("flwr").setLevel(logging.ERROR)


def _serve(address: str, values: int, rounds: int) -> list[float]:
    """When each round was over."""
    _quiet()
    import numpy as np  # noqa: PLC0415
    from flwr.common import ndarrays_to_parameters  # noqa: PLC0415
    from flwr.server import ServerConfig, start_server  # noqa: PLC0415
    from flwr.server.strategy import FedAvg  # noqa: PLC0415

    marks: list[float] = []

    def over(*_: object) -> None:
        marks.append(time.monotonic())

    start = ndarrays_to_parameters([np.ones(values, np.float32)])
    strategy = FedAvg(
        fraction_evaluate=0.0,
        min_fit_clients=CLIENTS,
        min_available_clients=CLIENTS,
        initial_parameters=start,
        evaluate_fn=over,
    )
    start_server(server_address=address, config=ServerConfig(num_rounds=rounds), strategy=strategy)
    return marks[1:]


def _echo(address: str) -> list[float]:
    _quiet()
    from flwr.client import NumPyClient, start_client  # noqa: PLC0415

    class Echo(NumPyClient):
        """Sends back what it gets."""

        def fit(self, parameters: Any, config: Any) -> Any:  # noqa: ANN401, ARG002
            """No training."""
            return parameters, 1, {}

    start_client(server_address=address, client=Echo().to_client(), insecure=True, max_wait_time=30.0)
    return []
