"""HOST:PORT, one spelling for each host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.addresses import Address, canonical_host, own_hosts, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7001", Address("127.0.0.1", 7001)),
        ("localhost:1", Address("127.0.0.1", 1)),
        ("[::1]:65535", Address("127.0.0.1", 65535)),
        ("[2001:DB8::1]:80", Address("2001:db8::1", 80)),
        ("Node-A.Example.org:80", Address("node-a.example.org", 80)),
        ("10.0.0.9:80", Address("10.0.0.9", 80)),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:65536",
        "host:-1",
        "host:8o",
        "ho st:80",
        "::1:80",
        "[::1:80",
        "-a:80",
    ],
)
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"no HOST:PORT|neither a host name"):
        parse_address(text)


@pytest.mark.parametrize("text", ["300.1.1.1:80", "10.0.0:80", "[10.0.0.300]:80"])
def test_numbers_that_are_no_ip_address_are_no_name_either(text: str) -> None:
    with pytest.raises(ValueError, match="neither a host name nor an IP address"):
        parse_address(text)


@given(host=st.ip_addresses(), port=st.integers(1, 65535))
def test_an_address_written_out_reads_back(host: object, port: int) -> None:
    address = Address(canonical_host(str(host)), port)
    assert parse_address(str(address)) == address


def test_this_machine_is_loopback_and_has_a_name() -> None:
    hosts = own_hosts()
    assert "127.0.0.1" in hosts
    assert all(canonical_host(host) in hosts for host in ("localhost", "::1", "127.0.0.7"))
