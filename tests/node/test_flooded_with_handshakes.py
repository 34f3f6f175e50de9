"""A real node whose port is dialed from all sides at once: whoever has a certificate cannot crash it by dialing."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from tests.forked import forked
from tests.node.study import make_study, wait_until

from gossipfl.config.loading import load_peers
from gossipfl.studies.fleet import Fleet

HANDSHAKES, SIDES = 6000, 12


@pytest.mark.slow
def test_thousands_of_handshakes_side_by_side_leave_a_node_as_it_was(tmp_path: Path, tiny_model: Path) -> None:
    training = {"phases": 10**6, "local_steps": 1, "evaluate_every": 0}
    privacy = {"level": "none", "target_epsilon": None}
    study = make_study(tmp_path / "study", tiny_model, names=("ada", "bob"), training=training, privacy=privacy)
    address = next(node.address for node in load_peers(study.peers).peers.nodes if node.name == "ada")
    assert address is not None
    certificates = study.folder / "certs"
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    context.load_cert_chain(certificates / "bob.pem", certificates / "bob.key")
    context.set_alpn_protocols(["h2"])
    shaken = [0] * SIDES
    with Fleet([study.job("ada")], launch=forked) as fleet:
        ada = fleet.processes["ada"]
        wait_until(lambda: study.phase("ada") >= 1, fleet, what="ada trains")

        def dial(side: int) -> None:
            host, _, port = address.rpartition(":")
            while shaken[side] < HANDSHAKES // SIDES and ada.poll() is None:
                try:
                    with socket.create_connection((host, int(port)), timeout=10) as line:
                        context.wrap_socket(line, server_hostname=host).close()
                except OSError:
                    continue
                shaken[side] += 1

        sides = [threading.Thread(target=dial, args=(side,)) for side in range(SIDES)]
        for each in sides:
            each.start()
        for each in sides:
            each.join()
        assert ada.poll() is None, f"ended with {ada.poll()} after {sum(shaken)} handshakes"
        before = study.phase("ada")
        wait_until(lambda: study.phase("ada") > before, fleet, what="ada trains on")
    assert sum(shaken) == HANDSHAKES
