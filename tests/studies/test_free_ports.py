"""Ports for nodes on this machine."""

import socket

from gossipfl.studies.free_ports import HOST, free_ports


def test_nobody_has_them_and_no_outgoing_connection_gets_them() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32_768, "from there on Linux gives them to connections"
    with socket.socket() as taken:
        taken.bind((HOST, ports[0]))
        assert all(ports[0] not in free_ports(50) for _ in range(3))
