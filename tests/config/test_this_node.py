"""Which node this process is: --name, self, the variable, the address, in this order."""

import pytest

from gossipfl.config.loading import resolve_self
from gossipfl.config.peers import Peers
from gossipfl.errors import ConfigError

OWN = frozenset({"127.0.0.1", "10.0.0.2", "box.example.org"})


def peers(self_name: str | None = None, **addresses: str | None) -> Peers:
    nodes = [{"name": name, "address": address} for name, address in addresses.items()]
    return Peers.model_validate({"experiment": "e.yaml", "self": self_name, "nodes": nodes})


def own() -> frozenset[str]:
    return OWN


def who(found: Peers, name: str | None = None, variable: str | None = None) -> str:
    environ = {} if variable is None else {"GOSSIPFL_NODE": variable}
    return resolve_self(found, name, environ, hosts=own).name


THREE = {"a": "10.0.0.1:1", "b": "10.0.0.2:1", "c": "10.0.0.3:1"}


def test_the_order_is_name_self_variable_address() -> None:
    assert who(peers("c", **THREE), name="a", variable="b") == "a"
    assert who(peers("c", **THREE), variable="a") == "c"
    assert who(peers(**THREE), variable="c") == "c"
    assert who(peers(**THREE)) == "b"


def test_an_empty_variable_says_nothing() -> None:
    assert who(peers(**THREE), variable="") == "b"


def test_a_host_name_decides_too() -> None:
    assert who(peers(a="10.0.0.1:1", b="Box.Example.org:1")) == "b"


@pytest.mark.parametrize(("how", "said"), [("name", "--name"), ("variable", "GOSSIPFL_NODE"), ("self", "self")])
def test_a_name_that_is_nobodys_lists_the_names(how: str, said: str) -> None:
    found = peers("nort" if how == "self" else None, north="10.0.0.1:1", south="10.0.0.3:1")
    with pytest.raises(ConfigError, match=f"^{said}: no node is called 'nort'; did you mean 'north'. .*north, south$"):
        who(found, name="nort" if how == "name" else None, variable="nort" if how == "variable" else None)


def test_loopback_of_several_nodes_does_not_decide() -> None:
    with pytest.raises(ConfigError, match=r"which node is this\? several .*one of a, b$"):
        who(peers(a="127.0.0.1:1", b="localhost:2"))
    assert who(peers(a="127.0.0.1:1", b="localhost:2", c="10.0.0.2:1")) == "c"


def test_loopback_of_one_node_decides() -> None:
    assert who(peers(a="127.0.0.1:1", b="10.0.0.1:2")) == "a"


def test_two_nodes_on_this_host_do_not_decide() -> None:
    with pytest.raises(ConfigError, match="several nodes' addresses are this machine's"):
        who(peers(a="10.0.0.2:1", b="10.0.0.2:2"))


def test_no_address_of_ours_lists_the_names() -> None:
    with pytest.raises(ConfigError, match=r"no node's address is this machine's: .*`self:`.*one of a, b$"):
        who(peers(a="10.0.0.8:1", b=None))
